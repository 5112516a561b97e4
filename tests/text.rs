//! Models of text: predictions at every place, tables that are too small, evaluation batches, and writing on.

mod adapter;

use downhill::compile::{Batch, TrainOptions, TrainPlan};
use downhill::data::{BatchPlan, BatchSize, Dataset, Field, Part, TextOptions, Vocabulary, text};
use downhill::gpu::Family;
use downhill::infer::{Sampling, TextModel, Writing};
use downhill::kernel::Target;
use downhill::nn::{BatchNorm, Embedding, MultiHeadAttention, Net, Positional, loss};
use downhill::optim::{Adam, Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Error, Function, Gpu, Graph, Tensor, Value};

fn gpu() -> Gpu {
    adapter::open(adapter::families()[0])
}

fn embed(net: &Net, x: &Tensor, num_embeddings: usize, embedding_dim: usize) -> Tensor {
    net.embedding("0", x, &Embedding { num_embeddings, embedding_dim, padding_idx: None })
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

fn sgd() -> Optimizer {
    Optimizer::Sgd(Sgd { lr: 0.5, ..Sgd::default() })
}

/// Letters in no simple order.
fn letters(len: usize) -> String {
    (0..len).map(|i| char::from(b'a' + ((i * i + i / 7) % 5) as u8)).collect()
}

fn plan(model: &dyn Fn(&Net, &Tensor) -> Tensor, data: &Dataset, rows: usize) -> Result<TrainPlan, Error> {
    let batches = BatchPlan::new(data.train().len(), BatchSize::Rows(rows), false)?;
    TrainPlan::builder(data, sgd())
        .model(model, &cross_entropy)
        .batches(batches)
        .target(Target::new(Family::Tiled))
        .build()
}

/// 666 samples of 3 places, 512 and 154 at a time: loss and accuracy are means over all 1,998.
#[test]
fn evaluation_counts_every_place() {
    let options = TextOptions { eval_fraction: 0.8, ..TextOptions::new(3) };
    let data = text("letters", &letters(2500), &options).expect("a text");
    let classes = data.classes().expect("a vocabulary");
    // A table of logits, with one class more than there are labels.
    let model = |net: &Net, x: &Tensor| embed(net, x, classes, classes + 1);
    let options =
        TrainOptions { batch_size: BatchSize::Rows(16), eval_batch: Some(512), ..TrainOptions::default() };
    let mut trainer =
        Trainer::new(&gpu(), &model, &cross_entropy, sgd(), &data, &options).expect("a trainer");
    let batches: Vec<usize> = trainer.plan().eval.iter().map(|b| b.batch).collect();
    assert_eq!(batches, [512, 154]);
    trainer.advance(20).expect("steps");
    let downhill::engine::Evaluation { loss, accuracy, .. } =
        trainer.evaluate().expect("an evaluation").expect("a part");

    let table = trainer.state_dict().expect("weights").swap_remove(0).values;
    let part = data.eval().expect("a part");
    let (mut losses, mut right, mut places) = (0.0, 0.0, 0.0);
    let pairs = (0..part.len()).flat_map(|i| {
        let of = |field: &downhill::data::Field| field.sample(i).expect("numbers");
        of(part.inputs()).into_iter().zip(of(part.targets()))
    });
    for (number, next) in pairs {
        let row = &table[number as usize * (classes + 1)..][..classes + 1];
        let target = row[next as usize];
        let sum: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
        losses += sum.ln() - f64::from(target);
        right += f64::from(u8::from(row.iter().all(|&l| l <= target)));
        places += 1.0;
    }
    assert!((loss - losses / places).abs() <= 1e-5 * loss, "{loss}, not {}", losses / places);
    let accuracy = accuracy.expect("labels");
    assert!((accuracy - right / places).abs() <= 1e-9, "{accuracy}, not {}", right / places);
    assert!((0.05..0.95).contains(&accuracy), "{accuracy} shows little");
}

/// A batch of evaluation grows to 512 samples, unless its activations would pass those of training, or 4 MiB.
#[test]
fn evaluation_batches_are_bounded() {
    let data = text("letters", &letters(60_000), &TextOptions { eval_fraction: 0.6, ..TextOptions::new(32) });
    let data = data.expect("a text");
    let classes = data.classes().expect("a vocabulary");
    let mut sizes = Vec::new();
    for (width, rows) in [(8, 4), (256, 4), (256, 200), (2048, 1), (2048, 64), (8, 600)] {
        let model = |net: &Net, x: &Tensor| {
            let h = net.linear("1", &embed(net, x, classes, 16), width).tanh();
            net.linear("2", &h, classes)
        };
        let plan = plan(&model, &data, rows).expect("a plan");
        let label = format!("width {width}, batch {rows}");
        let batches = plan.eval_batches.expect("a part to evaluate on");
        let largest = |builds: &[downhill::compile::StepPlan]| {
            builds.iter().map(|b| b.plan.largest_activation()).max().expect("a plan")
        };
        let bound = largest(&plan.train);
        assert!(largest(&plan.eval) <= bound, "{label}: {} of {bound}", largest(&plan.eval));
        assert!((rows.min(512)..=512).contains(&batches.rows), "{label}: {}", batches.rows);
        assert!(batches.rows == 512 || 2 * largest(&plan.eval) > bound, "{label}: {}", batches.rows);
        assert_eq!(batches.samples(), data.eval().expect("a part").len());
        let sizes_of =
            |builds: &[downhill::compile::StepPlan]| builds.iter().map(|b| b.batch).collect::<Vec<_>>();
        let want: Vec<usize> = std::iter::once(batches.rows).chain(batches.last).collect();
        assert_eq!(sizes_of(&plan.eval), want, "{label}");
        sizes.push(batches.rows);
    }
    // As many as in training, 512 at most.
    assert_eq!(sizes, [4, 4, 200, 1, 64, 512]);
}

#[track_caller]
fn assert_refused(result: Result<TrainPlan, Error>, words: &[&str]) {
    let err = result.expect_err("it does not fit");
    assert!(err.is_usage(), "{err:?}");
    for word in words {
        assert!(err.to_string().contains(word), "no {word:?} in: {err}");
    }
}

#[test]
fn tables_have_a_row_for_every_index() {
    let data = text("letters", &letters(500), &TextOptions::new(8)).expect("a text");
    let with_rows = |rows| plan(&move |net: &Net, x: &Tensor| embed(net, x, rows, 5), &data, 4);
    with_rows(5).expect("as many rows as characters");
    with_rows(9).expect("more rows than characters");
    let words = ["layer 0 (embedding)", "0.weight has 4 rows", "\"letters\" has 5 characters", "at least 5"];
    assert_refused(with_rows(4), &words);

    // Indices that are no text, in one field of two, read as they are or rearranged; the largest is evaluated on.
    let ids = |ids: Vec<i32>| Field::new([2], ids).expect("pairs");
    let part = |last: i32| {
        let x = Field::new([1], vec![1.0; 3]).expect("numbers");
        let part = Part::builder().input("x", x).input("ids", ids(vec![3, 0, 1, 7, 2, last]));
        part.build().expect("a part")
    };
    let of = |eval: i32, rows: usize| {
        let data = Dataset::new("pairs", part(0), Some(part(eval)), None).expect("a set");
        let batches = BatchPlan::new(3, BatchSize::Full, false).expect("batches");
        let step = |net: &Net, batch: &Batch| {
            embed(net, &batch.get("ids").transpose(0, 1), rows, 4).square().mean_all()
        };
        TrainPlan::builder(&data, sgd())
            .step(&step)
            .batches(batches)
            .target(Target::new(Family::Tiled))
            .build()
    };
    of(7, 8).expect("8 rows for indices to 7");
    assert_refused(of(8, 8), &["0.weight has 8 rows", "\"ids\" of \"pairs\" is 8", "at least 9 are needed"]);
    assert_refused(of(-1, 8), &["the index -1", "count from 0"]);
}

#[test]
fn labels_fit_the_last_axis() {
    let data = text("letters", &letters(500), &TextOptions::new(8)).expect("a text");
    let with = |outputs| plan(&move |net: &Net, x: &Tensor| embed(net, x, 5, outputs), &data, 4);
    with(5).expect("a logit for each character");
    assert_refused(with(4), &["4 classes", "\"letters\" has 5", "label 4"]);
    // A label that only the evaluation part has.
    let images = |labels| Part::new(Field::new([1], vec![0.5; 2])?, Field::new([], labels)?);
    let parts = (images(vec![0, 1]).expect("a part"), images(vec![0, 2]).expect("a part"));
    let data = Dataset::new("late", parts.0, Some(parts.1), Some(3)).expect("a set");
    assert_refused(plan(&|net, x| net.linear("0", x, 2), &data, 2), &["2 classes", "has 3", "label 2"]);
}

/// A graph for evaluation with the trainer's weights gives the trainer's evaluation.
#[test]
fn a_function_holds_weights() {
    let inputs = |n: usize, salt: usize| -> Vec<f32> {
        (0..n * 5).map(|i| ((i * 7 + salt) % 11) as f32 / 3.0).collect()
    };
    let labels = |n: usize| (0..n).map(|i| (i % 3) as i32).collect::<Vec<_>>();
    let data = Dataset::from_arrays("made up", [5], inputs(24, 0), [], labels(24)).expect("a data set");
    let data = data.with_eval(inputs(9, 4), labels(9)).expect("two parts").with_classes(3).expect("labels");
    let model = |net: &Net, x: &Tensor| {
        let h = net.linear("0", x, 70);
        let h = net.batch_norm("1", &h, &BatchNorm { momentum: None, ..BatchNorm::default() });
        net.linear("2", &net.dropout(&h.tanh(), 0.3), 3)
    };
    let gpu = gpu();
    let options = TrainOptions { batch_size: BatchSize::Rows(8), ..TrainOptions::default() };
    let mut trainer = Trainer::new(&gpu, &model, &cross_entropy, sgd(), &data, &options).expect("a trainer");
    let before = trainer.state_dict().expect("weights");
    trainer.advance(7).expect("steps");
    let want = trainer.evaluate().expect("an evaluation").expect("a part").loss;
    let mut weights = trainer.state_dict().expect("weights");

    let graph = Graph::new();
    let (x, t) = (graph.input("x", [9, 5]), graph.input_i32("t", [9]));
    let y = cross_entropy(&model(&Net::new(&graph, false), &x), &t);
    weights.reverse(); // any order will do
    let mut function = Function::with_weights(&gpu, &graph, &[&y], &weights).expect("a function");
    let (inputs, labels) = (inputs(9, 4), labels(9));
    let call = |function: &mut Function| {
        let outputs = function.call(&[("x", Value::F32(&inputs)), ("t", Value::I32(&labels))]);
        f64::from(outputs.expect("a call")[0][0])
    };
    let got = call(&mut function);
    assert!((got - want).abs() <= 1e-6 * want, "{got}, not {want}");
    function.load_state_dict(&before).expect("the same model's");
    let got = call(&mut function);
    assert!((got - want).abs() > 1e-3 * want, "other weights, the same loss {got}");

    let refused = |weights: &[NamedTensor], words: &[&str]| {
        let err = Function::with_weights(&gpu, &graph, &[&y], weights).expect_err("not the model's");
        assert!(matches!(err, Error::Weights(_)), "{err:?}");
        for word in words {
            assert!(err.to_string().contains(word), "no {word:?} in: {err}");
        }
    };
    refused(&weights[1..], &["do not fit", "1.running_mean [70]", "num_batches_tracked"]);
    let mut short = weights.clone();
    short[0].values.pop();
    refused(&short, &[&short[0].name, "values"]);
}

const CONTEXT: usize = 8;

/// A layer of a transformer over `characters`.
fn transformer(net: &Net, x: &Tensor, characters: usize) -> Tensor {
    let h = net.positional_embedding(
        "1",
        &embed(net, x, characters, 16),
        Positional::Learned { max_len: CONTEXT },
    );
    let attention = MultiHeadAttention { causal: true, ..MultiHeadAttention::new(2) };
    let h = h.add(&net.multi_head_attention("2", &h, &attention));
    net.linear("3", &h, characters)
}

fn take(writing: Writing<'_>, n: usize) -> String {
    writing.take(n).collect::<Result<String, Error>>().expect("text")
}

#[test]
fn a_trained_model_writes_on() {
    let gpu = gpu();
    let pattern = "gradient\n";
    let data =
        text("pattern", &pattern.repeat(60), &TextOptions { hop: Some(5), ..TextOptions::new(CONTEXT) });
    let data = data.expect("a text");
    let vocabulary = data.vocabulary().expect("characters").clone();
    let model = |net: &Net, x: &Tensor| transformer(net, x, 9);
    let adam = Optimizer::Adam(Adam { lr: 0.02, ..Adam::default() });
    let options = TrainOptions { batch_size: BatchSize::Rows(16), ..TrainOptions::default() };
    let mut trainer = Trainer::new(&gpu, &model, &cross_entropy, &adam, &data, &options).expect("a trainer");
    trainer.advance(80).expect("steps");
    let weights = trainer.state_dict().expect("weights");
    let open = |context| TextModel::new(&gpu, &model, context, vocabulary.clone(), &weights);
    let mut writer = open(CONTEXT).expect("a model");

    let coldest = Sampling { temperature: 0.0, ..Sampling::default() };
    assert_eq!(take(writer.write("gra", &coldest).expect("a prompt"), 24), "dient\ngradient\ngradient\n");
    // No prompt: after a line break. A long one: its end.
    assert_eq!(take(writer.write("", &coldest).expect("no prompt"), 9), "gradient\n");
    let long = pattern.repeat(3) + "gr";
    assert_eq!(take(writer.write(&long, &coldest).expect("a prompt"), 7), "adient\n");

    // Of a text shorter than the context nothing that stands after it counts; of a longer one the end does.
    let numbers = vocabulary.encode("ent\ngradient\ngr").expect("its characters");
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs()));
    for seen in [1, 5] {
        let short = open(seen).expect("a model").logits(&numbers[..seen]).expect("logits");
        let left = writer.logits(&numbers[..seen]).expect("logits");
        assert!(left.len() == 9 && close(&left, &short), "{seen}: {left:?}, {short:?}");
    }
    let whole = writer.logits(&numbers).expect("logits");
    assert_eq!(whole, writer.logits(&numbers[numbers.len() - CONTEXT..]).expect("logits"));
    assert!(matches!(writer.logits(&[]), Err(Error::Data(_))));

    // Hot enough to be no pattern, and the seed decides.
    let hot = |seed, top_k| Sampling { temperature: 30.0, top_k, seed };
    let mut draw = |sampling: Sampling| take(writer.write("gra", &sampling).expect("a prompt"), 40);
    assert_eq!(draw(hot(1, None)), draw(hot(1, None)));
    assert_ne!(draw(hot(1, None)), draw(hot(2, None)));
    assert_eq!(draw(hot(1, Some(1))), draw(coldest));

    for (prompt, sampling, words) in [
        ("grad!", coldest, &["prompt", "character 4", "'!'", "9"][..]),
        ("g", Sampling { temperature: -1.0, ..coldest }, &["temperature = -1"]),
        ("g", Sampling { top_k: Some(10), ..coldest }, &["top_k = 10", "1 to 9"]),
    ] {
        let err = writer.write(prompt, &sampling).expect_err("refused");
        assert!(err.is_usage(), "{err:?}");
        for word in words {
            assert!(err.to_string().contains(word), "no {word:?} in: {err}");
        }
    }
}

#[test]
fn a_model_that_writes_no_text_is_refused() {
    let gpu = gpu();
    let vocabulary = Vocabulary::from_text("abcde");
    let refused = |model: &dyn Fn(&Net, &Tensor) -> Tensor, words: &[&str]| {
        let err = TextModel::new(&gpu, &model, 4, vocabulary.clone(), &[]).expect_err("no text");
        assert!(err.is_usage(), "{err:?}");
        for word in words {
            assert!(err.to_string().contains(word), "no {word:?} in: {err}");
        }
    };
    refused(&|net, x| net.linear("1", &embed(net, x, 5, 3), 4), &["[1, 4, 4]", "5 different", "[1, 4, 5]"]);
    refused(&|net, x| net.linear("1", &embed(net, x, 5, 3).flatten(), 5), &["[1, 5]", "[1, 4, 5]"]);
    refused(&|net, x| net.linear("1", x, 5), &["layer 1"]);
    // The weights are another model's.
    let model = |net: &Net, x: &Tensor| embed(net, x, 5, 5);
    let err = TextModel::new(&gpu, &model, 4, vocabulary, &[]).expect_err("no weights");
    assert!(matches!(&err, Error::Weights(text) if text.contains("0.weight [5, 5]")), "{err:?}");
}
