//! Metrics by their definitions, in f64, one target after the other: what the engine's are held to.

use std::collections::BTreeMap;

/// Values by name, and the confusion matrix.
pub struct Want {
    pub values: BTreeMap<String, f64>,
    pub confusion: Vec<Vec<u64>>,
}

/// 2pr/(p + r) and its like by class, made one three ways.
fn averaged(values: &mut BTreeMap<String, f64>, pairs: &[(Vec<bool>, Vec<bool>)], of_labels: bool) {
    let classes = pairs[0].0.len();
    let count = |c: usize, what: fn(bool, bool) -> bool| {
        pairs.iter().filter(|(said, truth)| what(said[c], truth[c])).count() as f64
    };
    let ratio = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
    let numbers: Vec<[f64; 3]> = (0..classes)
        .map(|c| [count(c, |s, t| s && t), count(c, |s, t| s && !t), count(c, |s, t| !s && t)])
        .collect();
    let scores = |[hit, wrong, missed]: [f64; 3]| {
        let (p, r) = (ratio(hit, hit + wrong), ratio(hit, hit + missed));
        [p, r, ratio(2.0 * p * r, p + r)]
    };
    let occurring: Vec<&[f64; 3]> =
        numbers.iter().filter(|n| of_labels || n.iter().sum::<f64>() > 0.0).collect();
    let all: f64 = numbers.iter().map(|n| n[0] + n[2]).sum();
    for (i, name) in ["precision", "recall", "f1"].into_iter().enumerate() {
        let mean: f64 = occurring.iter().map(|n| scores(**n)[i]).sum();
        values.insert(format!("{name} macro"), ratio(mean, occurring.len() as f64));
        let sums = [0, 1, 2].map(|j| numbers.iter().map(|n| n[j]).sum());
        values.insert(format!("{name} micro"), scores(sums)[i]);
        let weighted: f64 = numbers.iter().map(|n| (n[0] + n[2]) * scores(*n)[i]).sum();
        values.insert(format!("{name} weighted"), ratio(weighted, all));
    }
}

/// Of logits [targets, classes]; targets of the number `ignored` count nowhere.
pub fn classes(logits: &[f32], classes: usize, targets: &[i32], ignored: Option<i32>, ks: &[usize]) -> Want {
    let mut values = BTreeMap::new();
    let mut confusion = vec![vec![0; classes]; classes];
    let (mut entropy, mut right, mut pairs) = (0.0, vec![0; ks.len()], Vec::new());
    for (row, &t) in logits.chunks(classes).zip(targets).filter(|(_, t)| Some(**t) != ignored) {
        let (t, row): (usize, Vec<f64>) = (t as usize, row.iter().map(|&x| x.into()).collect());
        let ahead = |c: &usize| row[*c].is_nan() || row[*c] > row[t] || (row[*c] == row[t] && *c < t);
        let rank = (0..classes).filter(|c| *c != t).filter(ahead).count();
        for (k, right) in ks.iter().zip(&mut right) {
            *right += usize::from(!row[t].is_nan() && rank < *k);
        }
        let first = |best: usize, c| if row[c] > row[best] { c } else { best };
        let said = row.iter().all(|x| !x.is_nan()).then(|| (0..classes).fold(0, first));
        if let Some(said) = said {
            confusion[t][said] += 1;
        }
        pairs.push(((0..classes).map(|c| said == Some(c)).collect(), (0..classes).map(|c| c == t).collect()));
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        entropy += row.iter().map(|x| (x - largest).exp()).sum::<f64>().ln() + largest - row[t];
    }
    let n = pairs.len() as f64;
    averaged(&mut values, &pairs, false);
    for (k, right) in ks.iter().zip(right) {
        values.insert(format!("top_{k}"), right as f64 / n);
    }
    values.insert("perplexity".into(), (entropy / n).exp());
    values.insert("bits_per_character".into(), entropy / n / 2f64.ln());
    Want { values, confusion }
}

/// Of logits [samples, labels] against numbers that are 1 where a label holds.
pub fn labels(logits: &[f32], labels: usize, targets: &[f32]) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    let held = |row: &[f32], above: f32| row.iter().map(|x| *x > above).collect::<Vec<_>>();
    let rows = logits.chunks(labels).zip(targets.chunks(labels));
    let pairs: Vec<_> = rows.map(|(y, t)| (held(y, 0.0), held(t, 0.5))).collect();
    averaged(&mut values, &pairs, true);
    let right = logits.iter().zip(targets).filter(|(y, t)| if **t > 0.5 { **y > 0.0 } else { **y <= 0.0 });
    values.insert("accuracy".into(), right.count() as f64 / targets.len() as f64);
    values
}

/// Of numbers [samples, outputs].
pub fn numbers(output: &[f32], outputs: usize, target: &[f32]) -> BTreeMap<String, f64> {
    let off: Vec<f64> = output.iter().zip(target).map(|(y, t)| f64::from(*y) - f64::from(*t)).collect();
    let n = (target.len() / outputs) as f64;
    let r2 = |column: usize| {
        let of = |x: &[f64]| x.iter().skip(column).step_by(outputs).copied().collect::<Vec<_>>();
        let target: Vec<f64> = target.iter().map(|&t| t.into()).collect();
        let (t, off) = (of(&target), of(&off));
        let mean = t.iter().sum::<f64>() / n;
        let total: f64 = t.iter().map(|t| (t - mean) * (t - mean)).sum();
        let left: f64 = off.iter().map(|x| x * x).sum();
        if t.iter().all(|x| *x == t[0]) { f64::from(u8::from(left == 0.0)) } else { 1.0 - left / total }
    };
    let mean = |f: fn(f64) -> f64| off.iter().map(|x| f(*x)).sum::<f64>() / off.len() as f64;
    BTreeMap::from([
        ("mae".to_owned(), mean(f64::abs)),
        ("rmse".to_owned(), mean(|x| x * x).sqrt()),
        ("r2".to_owned(), (0..outputs).map(r2).sum::<f64>() / outputs as f64),
    ])
}
