use super::*;
use crate::compile::TrainPlan;
use crate::data::{BatchSize, Sampling};
use crate::kernel::{Family, Precision, Rounding, Target};
use crate::nn::Layer;
use crate::optim::Optimizer;

mod augment;
mod eval;
mod layer_faults;
mod layer_options;
mod layers;
mod schedules;
mod sections;
mod updates;

const DIGITS: &str = r#"
seed = 3
[data]
source = "digits"
batch_size = 64
[model]
layers = ["flatten", { linear = 32 }, { leaky_relu = 0.1 }, { gelu = "tanh" }, { linear = { out_features = 10, bias = false } }]
loss = { cross_entropy = { label_smoothing = 0.1 } }
[optimizer]
name = "adamw"
lr = 3e-3
[train]
epochs = 2
"#;

/// Reads the config with this text after it, and what is written of it again.
#[track_caller]
fn reads(more: &str) -> Config {
    let config = Config::parse(&format!("{DIGITS}\n{more}"), &[]).unwrap();
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config, "{text}");
    config
}

/// The row of `name` in this page of `docs/reference`: its cells after the first.
fn reference_row(page: &str, name: &str) -> String {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(page);
    let text = std::fs::read_to_string(&page).unwrap_or_else(|err| panic!("{}: {err}", page.display()));
    let mut rows = text.lines().filter_map(|row| row.split_once(" | "));
    let row = rows.find(|(names, _)| names.contains(&format!("`{name}`")));
    row.unwrap_or_else(|| panic!("{name} has no row")).1.to_owned()
}

/// Plans the run, as far as no adapter is needed.
fn plan(config: &Config) -> Result<TrainPlan> {
    config.plan(&config.dataset()?, Target::new(Family::Tiled))
}

/// Cases of errors, a line each: what is wrong, and the words of its error, as `setting & setting => words || words`.
fn cases(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| {
        let (wrong, words) = line.split_once(" => ").unwrap_or_else(|| panic!("{line}"));
        (wrong, words.split(" || ").collect())
    })
}

/// These settings are refused in these words, when the config is read or when it is planned.
#[track_caller]
fn refused(text: &str) {
    for (settings, words) in cases(text) {
        let owned: Vec<String> = settings.split(" & ").map(str::to_owned).collect();
        let err = Config::parse(DIGITS, &owned).and_then(|config| plan(&config)).expect_err(settings);
        assert!(matches!(err, Error::Config(_)), "{settings}: {err:?}");
        assert!(words.iter().all(|word| err.to_string().contains(word)), "{settings}: {err}");
    }
}

/// These settings are refused in these words when the config is read.
#[track_caller]
fn unread(text: &str) {
    for (settings, words) in cases(text) {
        let text = error(DIGITS, &settings.split(" & ").collect::<Vec<_>>());
        assert!(words.iter().all(|word| text.contains(word)), "{settings}: {text}");
    }
}

fn error(text: &str, settings: &[&str]) -> String {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Config::parse(text, &settings).unwrap_err().to_string()
}

#[test]
fn resolves_and_reads_itself_back() {
    let config = Config::parse(DIGITS, &[]).unwrap();
    assert_eq!(config.options.seed, 3);
    assert_eq!(config.model.layers.len(), 5);
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config, "{text}");
    for name in Optimizer::NAMES {
        let set = ["optimizer.lr=0.01".to_owned(), format!("optimizer.name={name}")];
        let config = Config::parse(DIGITS, &set).unwrap();
        assert_eq!(config.update.optimizer.lr(), 0.01);
        assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
    }
}

#[test]
fn what_is_written_for_other_programs_is_asked_for() {
    assert_eq!(reads("").watch, Watch::default());
    assert_eq!(reads("[watch]\ntensorboard = true").watch, Watch { tensorboard: true, statistics: 0 });
    let watched = reads("[watch]\nstatistics = 50");
    assert_eq!((watched.watch.statistics, watched.options.statistics), (50, Some(50)));
    assert_eq!(error("[wach]\ntensorboard = true", &[]), "unknown key wach; did you mean \"watch\"?");
}

#[test]
fn settings_override() {
    let set = |s: &str| Config::parse(DIGITS, &[s.to_owned()]).unwrap();
    assert_eq!(set("optimizer.lr=0.5").update.optimizer.lr(), 0.5);
    assert_eq!(set("data.batch_size=full").options.batch_size, BatchSize::Full);
    assert_eq!(set("model.loss=mse").loss, LossSpec::Mse);
    assert_eq!(set("train.steps = 7").options.steps, Some(7));
    // The config of a run has the short form; a setting takes its place.
    let written = format!("{}\n", DIGITS.replace("[data]\n", "[data]\nshuffle = true\n"));
    let set = |s: &str| Config::parse(&written, &[s.to_owned()]).unwrap().options.sampling;
    assert_eq!((set("data.sampling=once"), set("data.shuffle=false")), (Sampling::Once, Sampling::File));
}

#[test]
fn every_name_is_a_layer_or_a_loss() {
    for form in Layer::FORMS {
        let config = Config::parse(DIGITS, &[format!("model.layers=[{}]", form.example)]).unwrap();
        assert_eq!(config.model.layers[0].name(), form.name);
    }
    for row in LossSpec::TABLE {
        for entry in [row.form.name, row.form.example] {
            let config = Config::parse(DIGITS, &[format!("model.loss={entry}")]).unwrap();
            assert_eq!(config.loss.name(), row.form.name);
            assert_eq!(Config::parse(&config.to_toml(), &[]).unwrap(), config);
        }
    }
}

#[test]
fn faults_name_key_value_and_remedy() {
    unread(
        r#"
        optimizer.lrr=1 => optimizer.lrr || "lr"
        optimizer.lr=-1 => optimizer.lr || -1
        optimizer.lr=nan => optimizer.lr
        optimizer.lr=fast => optimizer.lr || fast
        optimizer.name=adqm => adqm || "adam"
        data.sorce=digits => data.sorce || "source"
        data.source=digit => digit || "digits"
        data.batch_size=0 => data.batch_size || full
        data.shuffle=1 => data.shuffle || true or false
        data.sampling=onec => data.sampling = "onec": "epoch" or "once" or "file" or "replacement" is needed; did you mean "once"?
        data.sampling=replacment => did you mean "replacement"?
        data.sampling=random => data.sampling = "random": "epoch" or "once"
        data.sampling=true => data.sampling = true: "epoch" or "once"
        data.samplign=once => unknown key data.samplign; did you mean "sampling"?
        data.sampling=once & data.shuffle=true => data.sampling = "once" and data.shuffle = true || short form || one of them
        data.sampling=epoch & data.shuffle=true => data.sampling = "epoch" and data.shuffle = true
        data.sampling=file & data.shuffle=false => data.sampling = "file" and data.shuffle = false
        model.layers=["rellu"] => model.layers[0] || "relu"
        model.layers=[{ linear = -4 }] => out_features || -4
        model.layers=[{ linear = { out = 4 } }] => model.layers[0].linear
        model.layers=[{ relu = 1 }] => relu || no options
        model.layers=[] => model.layers is empty
        model.loss=cross_entropi => "cross_entropy"
        train.epochs=0 => at least 1
        train.epochs=2.5 => train.epochs || whole number
        trian.epochs=2 => trian || "train"
        seed => --set seed
        =3 => --set =3 || key
        optimizer.=3 => --set optimizer.=3 || key
        seed=-1 => seed = -1 || negative
        optimizer.betas=[0.9] => optimizer.betas || two numbers
        optimizer.amsgrad=1 => optimizer.amsgrad || true or false || integer
        optimizer.state_bits=4 => optimizer.state_bits = 4 || 32 bits, or in 8
        optimizer.state_bits=8 & optimizer.amsgrad=true => optimizer.state_bits = 8 || amsgrad
        optimizer.state_bits=8.5 => optimizer.state_bits = 8.5 || 32 or 8 is needed
        optimizer.name=nadam & optimizer.decoupled_weight_decay=1 => optimizer.decoupled_weight_decay || true or false
        optimizer.name=schedule_free_adamw & optimizer.warmup_steps=2.5 => optimizer.warmup_steps = 2.5 || whole number
        optimizer.name=lion & optimizer.betas=0.9 => optimizer.betas = 0.9 || two numbers
        optimizer.name=adadelta & optimizer.rho=big => optimizer.rho || a number
        optimizer.name=schedule_free_sgd & average={ kind = "ema" } => average || schedule-free
        model.loss={ cross_entropy = 0.1 } => cross_entropy = 0.1 || label_smoothing
        model.loss={ mse = { beta = 1 } } => model.loss.mse.beta || none
    "#,
    );
    assert!(error("[data", &[]).contains("not valid TOML"));
    assert!(error("", &[]).contains("data.source is missing"));
}
