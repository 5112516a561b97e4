//! Tiles named for products: they change those products and no others, and a run keeps them to equal bits.

mod adapter;

use std::path::Path;

use downhill::compile::TrainPlan;
use downhill::config::{Config, Tune};
use downhill::gpu::{Family, Reads};
use downhill::kernel::{ProductTiles, Target};
use downhill::plan::{NamedTensor, Plan, Step};
use downhill::run::{RunDir, Session, load};
use downhill::{Error, GpuOptions};

/// 15 steps an epoch, the last of a short batch. With running statistics it goes kernel by kernel.
const CONFIG: &str = r#"
seed = 4
[data]
source = "digits"
batch_size = 100
[model]
layers = ["flatten", { linear = 24 }, "batch_norm", "relu", { linear = 10 }]
loss = "cross_entropy"
[optimizer]
name = "adamw"
lr = 1e-3
[train]
epochs = 2
[checkpoint]
every_epochs = 1
"#;

const OTHERS: &str = "\n[tune.products]\n\"100x24x64 NT\" = \"64x64x16\"\n";

/// The section `[tune]` with other tiles than the predicted ones, for a layer and for the gradient of its weight.
fn table() -> String {
    let plan = planned(&config(""));
    let kind = |m, n| {
        let found = plan.product_tiles().find(|tile| (tile.kind.sizes.m, tile.kind.sizes.n) == (m, n));
        *found.expect("a product of these sizes")
    };
    let (layer, gradient) = (kind(100, 24), kind(24, 64));
    assert!(!layer.kind.row_sum && gradient.kind.row_sum);
    for tile in [layer, gradient] {
        assert!(tile.choice.to_string() != "32x32x32", "the predicted tile is the one that is named");
    }
    format!(
        "\n[tune]\nadapter = \"made up\"\ndriver = \"7\"\n[tune.products]\n\"{}\" = \"32x32x32\"\n\"{}\" = \"32x32x32\"\n",
        layer.kind, gradient.kind
    )
}

fn config(more: &str) -> Config {
    Config::parse(&format!("{CONFIG}{more}"), &[]).expect("a config")
}

fn planned(config: &Config) -> TrainPlan {
    config
        .plan(&config.dataset().expect("digits"), Target::new(Family::Tiled).kernel_by_kernel())
        .expect("a plan")
}

fn plans(plan: &TrainPlan) -> Vec<&Plan> {
    plan.train.iter().chain(&plan.eval).map(|step| &step.plan).collect()
}

/// Everything of a kernel that decides bits.
fn text(step: &Step) -> (&str, &str, Vec<(&'static str, u32)>, [u32; 3]) {
    (step.kernel.entry, &step.kernel.wgsl, step.kernel.constants.clone(), step.kernel.grid)
}

#[test]
fn a_table_changes_the_named_products_and_no_others() {
    let (plain, tuned) = (planned(&config("")), planned(&config(&table())));
    // The layer is in the evaluation too.
    assert_eq!((plain.tuned_products(), tuned.tuned_products()), (0, 3));
    let mut changed = Vec::new();
    for (plain, tuned) in plans(&plain).into_iter().zip(plans(&tuned)) {
        assert_eq!(plain.steps.len(), tuned.steps.len());
        for (plain, tuned) in plain.steps.iter().zip(&tuned.steps) {
            let is_tuned = tuned.tile.is_some_and(|tile| tile.is_tuned);
            assert_eq!(text(plain) != text(tuned), is_tuned, "{}", tuned.title);
            assert_eq!(plain.tile.map(|tile| tile.kind), tuned.tile.map(|tile| tile.kind));
            changed.extend(tuned.tile.filter(|tile| tile.is_tuned));
        }
    }
    assert!(changed.len() == 3 && changed.iter().all(|tile| tile.choice.to_string() == "32x32x32"));

    // Kernels without tiles to choose from are as before.
    let (data, plain_config, tuned_config) =
        (config("").dataset().expect("digits"), config(""), config(&table()));
    let plainly = Target::new(Family::Tiled).with_tiles(ProductTiles::Plain);
    for target in [Target::new(Family::Subgroup), plainly] {
        let [plain, tuned] =
            [&plain_config, &tuned_config].map(|config| config.plan(&data, target).expect("a plan"));
        assert_eq!(tuned.product_tiles().filter(|tile| tile.is_tuned).count(), 0);
        let steps = |plan: &TrainPlan| -> Vec<String> {
            plans(plan).iter().flat_map(|plan| &plan.steps).map(|step| format!("{:?}", text(step))).collect()
        };
        assert!(steps(&plain) == steps(&tuned));
    }
}

/// K in parts adds the kernel that adds them.
#[test]
fn a_table_may_cut_k() {
    let more = "\n[tune.products]\n\"100x24x64 NT\" = \"64x64x16 in 2 parts\"\n";
    let (plain, tuned) = (planned(&config("")), planned(&config(more)));
    let steps = &tuned.train[0].plan.steps;
    assert_eq!(steps.len(), plain.train[0].plan.steps.len() + 1);
    let at = steps.iter().position(|step| step.tile.is_some_and(|tile| tile.is_tuned)).expect("it");
    assert!(steps[at + 1].title.contains("fold of parts"), "{}", steps[at + 1].title);
}

fn options() -> GpuOptions {
    let options = GpuOptions { family: Some(Family::Tiled), ..GpuOptions::default() };
    GpuOptions { adapter: adapter::wanted(), reads: Some(Reads::Storage), ..options }
}

fn train(config: Config, path: &Path) -> Vec<String> {
    let mut session = Session::start(config, path, &options(), None, &|_| Ok(())).expect("a session");
    session.run(&mut ()).expect("a run");
    session.notes().to_vec()
}

fn bits(path: &Path) -> Vec<(String, Vec<u32>)> {
    let bits = |t: NamedTensor| (t.name, t.values.iter().map(|x| x.to_bits()).collect());
    load(&path.join("model.safetensors")).expect("weights").into_iter().map(bits).collect()
}

/// True on an adapter whose products have tiles.
fn has_tiles() -> bool {
    let gpu = adapter::open_with(options());
    Target::for_gpu(&gpu).tiles == ProductTiles::Predicted
}

#[test]
fn a_run_and_its_resumed_run_keep_their_tiles() {
    if !has_tiles() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (plain, tuned) = (config(""), config(&table()));
    assert!(train(plain.clone(), &path("plain")).is_empty());
    let notes = train(tuned.clone(), &path("whole"));
    let here = adapter::open_with(options());
    let [note] = &notes[..] else { panic!("{notes:?}") };
    for word in ["made up (driver 7)", &here.adapter().name, &here.adapter().driver] {
        assert!(note.contains(word), "{word}: {note}");
    }
    assert!(bits(&path("plain")) != bits(&path("whole")), "the tiles changed no bit: they were not used");

    // An empty table, and one of products that are not there, change nothing.
    let far = "\n[tune.products]\n\"7x7x7 NT\" = \"32x32x32\"\n";
    let notes = train(config(far), &path("far"));
    assert!(notes.iter().any(|note| note.contains("name none of the")), "{notes:?}");
    assert!(bits(&path("plain")) == bits(&path("far")));

    // One epoch, and the second later, asked for with other tiles, and with none.
    for (name, asked, is_noted) in
        [("one", config(OTHERS), true), ("two", plain.clone(), false), ("three", tuned.clone(), false)]
    {
        let mut short = tuned.clone();
        short.options.epochs = 1;
        train(short, &path(name));
        let mut session = Session::resume_as(&path(name), &options(), asked, &|_| Ok(())).expect("a session");
        assert_eq!(session.from(), Some(15));
        let kept = |note: &&String| note.contains("the run keeps tiles for 2 products, measured on made up");
        assert_eq!(
            session.notes().iter().filter(kept).count(),
            usize::from(is_noted),
            "{:?}",
            session.notes()
        );
        assert_eq!(session.config().tune, tuned.tune);
        assert_eq!(session.trainer().plan().tuned_products(), 3);
        session.run(&mut ()).expect("the second epoch");
        assert!(bits(&path("whole")) == bits(&path(name)), "{name}: other weights");
    }

    // What evaluates the run later has its tiles, and the same training makes the same run.
    let stored = Config::load(&path("one").join("config.toml"), &[]).expect("its config");
    assert_eq!((&stored.tune, planned(&stored).tuned_products()), (&tuned.tune, 3));
    assert_eq!(Tune::load(&path("one").join("config.toml")).expect("its tiles"), tuned.tune);
    let mut evaluated = stored.trainer(&here, &stored.dataset().expect("digits")).expect("a trainer");
    evaluated.load_state_dict(&load(&path("one").join("model.safetensors")).expect("weights")).expect("it");
    let found = evaluated.evaluate().expect("an evaluation").expect("a part to evaluate on");
    let last = RunDir::last_epoch(&path("one")).expect("metrics").expect("an epoch");
    assert_eq!((Some(found.loss), found.accuracy), (last.eval_loss, last.eval_accuracy));
    train(stored, &path("again"));
    assert!(bits(&path("whole")) == bits(&path("again")));

    // A run without tiles takes none.
    let mut short = plain.clone();
    short.options.epochs = 1;
    train(short, &path("untuned"));
    let mut session =
        Session::resume_as(&path("untuned"), &options(), tuned.clone(), &|_| Ok(())).expect("a session");
    assert!(session.notes()[0].contains("the run keeps predicted tiles"), "{:?}", session.notes());
    session.run(&mut ()).expect("the second epoch");
    assert!(bits(&path("plain")) == bits(&path("untuned")));
}

/// A checkpoint is of its tiles.
#[test]
fn tiles_that_were_changed_by_hand_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run");
    let mut short = config(&table());
    short.options.epochs = 1;
    train(short, &path);
    let file = path.join("config.toml");
    let text = std::fs::read_to_string(&file).expect("its config");
    std::fs::write(&file, text.replacen("\"32x32x32\"", "\"64x64x16\"", 1)).expect("a change");
    let err = Session::resume(&path, &options(), &["train.epochs=2".into()], &|_| Ok(())).unwrap_err();
    let text = err.to_string();
    assert!(matches!(err, Error::Checkpoint(_)), "{text}");
    for word in ["tune.products.", "\"32x32x32\" then", "\"64x64x16\" now"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// Measured on the device under test, written, read, trained with: every product has the tile that was named.
#[cfg(feature = "diagnostics")]
#[test]
fn measured_tiles_are_those_of_a_run() {
    use downhill::bench::{Effort, Options, Tuning};
    use downhill::kernel::TunedProducts;

    if !has_tiles() {
        return;
    }
    let gpu = adapter::open_with(GpuOptions { shader_checks: false, ..options() });
    let plain = config("");
    let data = plain.dataset().expect("digits");
    let plan = |products: &TunedProducts| {
        let mut config = plain.clone();
        config.tune.products = products.clone();
        config.plan(&data, Target::for_gpu(&gpu).kernel_by_kernel())
    };
    let effort = Effort { rounds: 3, least: 1e-4, most: 0.02 };
    let options = Options { effort, ..Options::new(true) };
    let tuned = Tuning { plan: &plan, known: TunedProducts::default() }.run(&gpu, &options).expect("times");
    tuned.sheets().iter().for_each(|sheet| println!("{}", sheet.markdown()));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("net.tune.toml");
    let tune = Tune::measured_on(gpu.adapter(), tuned.products.clone());
    std::fs::write(&file, tune.to_toml()).expect("a file");
    let mut config = plain.clone();
    config.tune = Tune::load(&file).expect("the tiles");
    assert_eq!(config.tune.products, tuned.products);
    let plan = planned(&config);
    assert_eq!(plan.tuned_products(), plan.product_tiles().count());
    // A note would say that they are of another adapter, or of other products.
    assert_eq!(train(config, &folder.path().join("run")), Vec::<String>::new());
}
