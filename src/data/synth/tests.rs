//! Synthetic data: pinned samples, distributions, and whole files.

use super::*;

const SEED: u64 = 0x0123_4567_89ab_cdef;

fn digits(half: Half, seed: u64) -> Digits28 {
    Digits28::new(half, seed).unwrap()
}

/// FNV-1a.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// Worked out apart, by a ChaCha8 in Python, NumPy and the words of the modules' comments; digits to the last bit.
#[test]
fn samples_are_pinned() {
    let mut rows = String::new();
    for made in [spirals_point, moons_point, blobs_point] {
        point(made(0, 0), &mut rows);
        point(made(SEED, 305), &mut rows);
    }
    let want = "-0.533289,-0.121710,0\n0.336577,0.149439,2\n0.095437,1.019680,0\n0.338020,-0.141556,1\n\
                -1.418987,-0.318413,0\n0.034912,-1.869590,1\n";
    assert_eq!(rows, want);
    for (seed, x0, x1, y) in
        [(0, "0.092918", "-1.779498", "-0.529078"), (7, "1.160406", "-0.896121", "1.053571")]
    {
        let (x, value) = Teacher::new(seed).sample(5);
        let words = [x[0], x[1], value].map(|v| format!("{v:.6}"));
        assert_eq!(words, [x0, x1, y]);
    }

    for (half, want, labels) in [
        (Half::Train, 0x15d2_9911_3340_31b6, [9, 0, 3, 9, 6, 6, 5, 5, 0, 0, 5, 9]),
        (Half::Eval, 0xe1bb_7a81_c9d8_f517, [6, 8, 1, 3, 3, 9, 8, 1, 3, 6, 1, 0]),
    ] {
        let digits = digits(half, 7);
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(|at| digits.image(at).1), labels);
        let made = hash((0..100).flat_map(|at| digits.image(at).0));
        assert_eq!(made, want, "{half:?}: {made:#x}");
    }
}

#[test]
fn seeds_numbers_and_halves_draw_apart() {
    let image = |half, seed, at| digits(half, seed).image(at).0;
    let first = image(Half::Train, 1, 1);
    for other in [image(Half::Train, 1, 2), image(Half::Train, 2, 1), image(Half::Eval, 1, 1)] {
        assert_ne!(first, other);
    }
    assert_ne!(spirals_point(1, 3), spirals_point(2, 3));
    assert_ne!(Teacher::new(1).answer(&[1.0; 16]), Teacher::new(2).answer(&[1.0; 16]));
}

/// Those of MNIST: ink of 33 in the mean with a deviation of 79, four pixels of five without any, the centre of mass in
/// the middle.
#[test]
fn images_have_the_measures_of_mnist() {
    let digits = digits(Half::Train, 3);
    let (mut ink, mut square, mut blank, mut edge, mut counts) = (0.0, 0.0, 0.0, 0, [0; 10]);
    let n = 2000;
    for at in 0..n {
        let (image, label) = digits.image(at);
        counts[usize::from(label)] += 1;
        let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
        for (place, pixel) in image.iter().enumerate() {
            let (value, row, column) = (f64::from(*pixel), place / SIDE, place % SIDE);
            mass += value;
            square += value * value;
            x += value * (column as f64 - 13.5);
            y += value * (row as f64 - 13.5);
            blank += if *pixel == 0 { 1.0 } else { 0.0 };
            let border = |at: usize| at == 0 || at == SIDE - 1;
            edge += usize::from(*pixel > 127 && (border(row) || border(column)));
        }
        // A shift of up to a pixel; the soft edge moves the centre by what thin strokes lose.
        assert!(mass > 0.0 && x.hypot(y) / mass < 3.0, "image {at}: {} {}", x / mass, y / mass);
        ink += mass;
    }
    let pixels = (n as usize * PIXELS) as f64;
    let (mean, blank) = (ink / pixels, blank / pixels);
    let deviation = (square / pixels - mean * mean).sqrt();
    assert!((29.0..37.0).contains(&mean) && (74.0..84.0).contains(&deviation), "{mean} {deviation}");
    assert!((0.78..0.86).contains(&blank), "{blank}");
    assert!(edge < 10, "{edge} pixels of strokes at the border");
    // Each digit is a tenth of its part, give or take; 2,000 draws of it deviate by 13.
    assert!(counts.iter().all(|c| (200i32 - c).abs() < 5 * 13), "{counts:?}");
}

/// A digit of the evaluation part is classified by the nearest of 1,000 images of other digits.
#[test]
fn images_look_like_what_they_are_called() {
    let (train, eval) = (digits(Half::Train, 5), digits(Half::Eval, 5));
    let known: Vec<_> = (0..1000).map(|at| train.image(at)).collect();
    let n = 200;
    let right = (0..n).filter(|&at| {
        let (image, label) = eval.image(at);
        let distance = |other: &[u8; PIXELS]| -> u32 {
            image.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        known.iter().min_by_key(|(other, _)| distance(other)).is_some_and(|(_, told)| *told == label)
    });
    let right = right.count();
    assert!(right * 100 > n as usize * 85, "{right} of {n}");
}

/// Mean and deviation of what the equations without noise leave.
#[test]
fn points_lie_where_their_classes_do() {
    let n = 3000;
    let residuals = |of: &dyn Fn(u64) -> f64| {
        let all: Vec<f64> = (0..n).map(of).collect();
        let mean = all.iter().sum::<f64>() / n as f64;
        (mean, (all.iter().map(|r| r * r).sum::<f64>() / n as f64).sqrt())
    };
    // How far outside of its half circle a point is: its noise across, and 0.005, half the variance, from its noise along.
    // The mean of 3,000 deviates by a 54th of the deviation, the deviation by a 77th of itself.
    let moons = residuals(&|at| match moons_point(1, at) {
        ([x, y], 0) => x.hypot(y) - 1.0,
        ([x, y], _) => (x - 1.0).hypot(y - 0.5) - 1.0,
    });
    assert!(
        (moons.0 - 0.005).abs() < 5.0 * 0.1 / 54.0 && (moons.1 - 0.1).abs() < 5.0 * 0.1 / 77.0,
        "{moons:?}"
    );
    let blobs = residuals(&|at| match blobs_point(1, at) {
        ([x, _], 0 | 2) => x + 2.0,
        ([x, _], _) => x - 2.0,
    });
    assert!(blobs.0.abs() < 5.0 * 0.7 / 54.0 && (blobs.1 - 0.7).abs() < 5.0 * 0.7 / 77.0, "{blobs:?}");
    // An arm is at its angle: the third of a turn nearest to it is its class's. Noise of 0.03 turns points near the
    // origin into other arms.
    let arm = |at| {
        let ([x, y], class) = spirals_point(1, at);
        let turns = y.atan2(x) / std::f64::consts::TAU - x.hypot(y);
        (class, (3.0 * turns).round().rem_euclid(3.0) as u8)
    };
    let right = (0..n).filter(|at| arm(*at).0 == arm(*at).1).count();
    assert!(right as u64 * 100 > n * 98, "{right} of {n}");
    for at in 0..24 {
        let classes = [spirals_point(1, at).1, moons_point(1, at).1, blobs_point(1, at).1].map(u64::from);
        assert_eq!(classes, [at % 3, at % 2, at % 4]);
    }
    let teacher = Teacher::new(1);
    let noise = residuals(&|at| {
        let (x, y) = teacher.sample(at);
        y - teacher.answer(&x)
    });
    assert!(noise.0.abs() < 5.0 * 0.05 / 54.0 && (noise.1 - 0.05).abs() < 5.0 * 0.05 / 77.0, "{noise:?}");
}

fn made(kind: Kind, count: u64, dir: &Path) -> Vec<Vec<u8>> {
    let mut ends = Vec::new();
    let options = SynthOptions { kind, count, seed: 7, force: false };
    let written = write(&options, dir, &mut |done| ends.push(done)).unwrap();
    assert!(ends.is_sorted());
    assert_eq!(ends.last(), Some(&(count + kind.eval_count(count))));
    let read = |(path, bytes): &(PathBuf, u64)| {
        let file = std::fs::read(path).unwrap();
        assert_eq!(file.len() as u64, *bytes);
        file
    };
    written.iter().map(read).collect()
}

#[test]
fn files_hold_the_samples_in_order_and_more_of_them_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let [few, many] = ["few", "many"].map(|name| dir.path().join(name));
    let (short, long) = (made(Kind::Digits28, 1500, &few), made(Kind::Digits28, 3000, &many));
    for (part, (half, count)) in [(Half::Train, 1500), (Half::Eval, 250)].into_iter().enumerate() {
        let parse = |files: &[Vec<u8>], at: usize| {
            let (head, rest) = files[at].split_at(4);
            assert_eq!(head[..3], [0, 0, 8], "unsigned bytes");
            let (extents, values) = rest.split_at(4 * usize::from(head[3]));
            let extent = |e: &[u8]| u32::from_be_bytes([e[0], e[1], e[2], e[3]]) as usize;
            (extents.chunks_exact(4).map(extent).collect::<Vec<_>>(), values.to_vec())
        };
        let (images, labels) = (parse(&short, 2 * part), parse(&short, 2 * part + 1));
        assert_eq!((images.0, labels.0), (vec![count, SIDE, SIDE], vec![count]));
        let digits = digits(half, 7);
        for at in [0, 1, 249, count - 1] {
            let (image, label) = digits.image(at as u64);
            assert_eq!((&images.1[at * PIXELS..][..PIXELS], labels.1[at]), (&image[..], label), "{at}");
        }
        assert!(parse(&long, 2 * part).1.starts_with(&images.1));
        assert!(parse(&long, 2 * part + 1).1.starts_with(&labels.1));
    }
    for (kind, head) in [
        (Kind::Spirals, POINT),
        (Kind::Moons, POINT),
        (Kind::Blobs, POINT),
        (Kind::Teacher, "x0,x1,x2,x3,x4,x5,x6,x7,x8,x9,x10,x11,x12,x13,x14,x15,y\n"),
    ] {
        let (short, long) = (made(kind, 1500, &few), made(kind, 3000, &many));
        let text = String::from_utf8(short[0].clone()).unwrap();
        assert!(text.starts_with(head) && text.lines().count() == 1501, "{kind:?}");
        let cells = head.split(',').count();
        assert!(text.lines().all(|line| line.split(',').count() == cells), "{kind:?}");
        assert!(long[0].starts_with(&short[0]) && long[0].len() > short[0].len(), "{kind:?}");
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for count in [0, 1 << 32] {
        let options = SynthOptions { kind: Kind::Moons, count, seed: 0, force: false };
        let err = write(&options, dir.path(), &mut |_| ()).unwrap_err();
        assert!(err.is_usage() && err.to_string().contains(&format!("count = {count}")), "{err}");
    }
    let err = Kind::named("spiral").unwrap_err().to_string();
    assert!(err.contains("did you mean \"spirals\"?"), "{err}");
    for (kind, name, _) in Kind::ALL {
        assert_eq!((Kind::named(name).unwrap(), kind.name()), (kind, name));
    }
    assert_eq!([1, 6, 60_000].map(|count| Kind::Digits28.eval_count(count)), [1, 1, 10_000]);
    // The last of the four files is there: nothing is begun.
    std::fs::write(dir.path().join(IDX_FILES[3]), "mine").unwrap();
    let options = SynthOptions { kind: Kind::Digits28, count: 5, seed: 0, force: false };
    assert!(write(&options, dir.path(), &mut |_| ()).unwrap_err().is_usage());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    write(&SynthOptions { force: true, ..options }, dir.path(), &mut |_| ()).unwrap();
    assert_eq!(std::fs::read(dir.path().join(IDX_FILES[3])).unwrap().len(), 8 + 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
}
