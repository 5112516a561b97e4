//! The list `data.augment`.

use super::*;
use crate::nn::augment::Erasing;

fn with(list: &str) -> Config {
    let config = Config::parse(DIGITS, &[format!("data.augment={list}")]).unwrap();
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, &[]).unwrap(), config, "{text}");
    config
}

#[test]
fn every_key_is_read() {
    let (p, scale, ratio) = (0.25, [0.05, 0.2], [0.5, 2.0]);
    let erasing = Augmentation::Erasing(Erasing { p, scale, ratio });
    for (entry, wanted) in [
        ("{ horizontal_flip = 0.25 }", Augmentation::HorizontalFlip { p }),
        ("{ vertical_flip = 0.25 }", Augmentation::VerticalFlip { p }),
        ("{ crop = 3 }", Augmentation::Crop { padding: 3 }),
        ("{ shift = 3 }", Augmentation::Shift { pixels: 3 }),
        ("{ rotation = 15 }", Augmentation::Rotation { degrees: 15.0 }),
        ("{ erasing = 0.25, scale = [0.05, 0.2], ratio = [0.5, 2] }", erasing),
        ("{ noise = 0.1 }", Augmentation::Noise { std: 0.1 }),
        ("{ mixup = 0.2 }", Augmentation::Mixup { alpha: 0.2 }),
        // As a layer's options are written.
        ("{ erasing = { ratio = [0.5, 2], scale = [0.05, 0.2], p = 0.25 } }", erasing),
        ("{ crop = { padding = 3 } }", Augmentation::Crop { padding: 3 }),
        // Every option has a default.
        ("\"horizontal_flip\"", Augmentation::HorizontalFlip { p: 0.5 }),
        ("\"vertical_flip\"", Augmentation::VerticalFlip { p: 0.5 }),
        ("{ erasing = 0.5 }", Augmentation::Erasing(Erasing::default())),
    ] {
        assert_eq!(with(&format!("[{entry}]")).augment.entries, [wanted], "{entry}");
    }
}

#[test]
fn the_order_is_kept_and_defaults_are_filled_in() {
    let config =
        with("[{ noise = 0.1 }, { erasing = 0.25 }, \"horizontal_flip\", { noise = 0.2 }, { mixup = 1 }]");
    let text = config.to_toml();
    let table: Table = text.parse().unwrap();
    let list = table["data"]["augment"].as_array().unwrap();
    let wanted: Table =
        "a = [{ noise = 0.1 }, { erasing = 0.25, ratio = [0.3, 3.3], scale = [0.02, 0.33] }, \
                         { horizontal_flip = 0.5 }, { noise = 0.2 }, { mixup = 1.0 }]"
            .parse()
            .unwrap();
    assert_eq!(list, wanted["a"].as_array().unwrap(), "{text}");
    for none in ["[]", ""] {
        let set = if none.is_empty() { vec![] } else { vec![format!("data.augment={none}")] };
        let config = Config::parse(DIGITS, &set).unwrap();
        assert!(config.augment.entries.is_empty() && !config.to_toml().contains("augment"));
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    unread(
        r#"
        data.augment=flip => data.augment = "flip" || a list is needed || { crop = 4 }
        data.augment=[3] => data.augment[0] = 3 || a table with a name || an integer
        data.augment=[{ crop = 1 }, { horizontal_flp = 0.5 }] => data.augment[1] || horizontal_flp || "horizontal_flip"
        data.augment=["rotate"] => data.augment[0] || "rotate"
        data.augment=[{ erazing = 0.5, scale = [0.1, 0.2] }] => data.augment[0] || "erasing"
        data.augment=[{ crop = 4, shift = 2 }] => data.augment[0] || one name || { crop = .. }, { shift = .. }
        data.augment=["crop"] => data.augment[0].crop.padding is missing || { crop = 4 }
        data.augment=[{ crop = -1 }] => data.augment[0].crop.padding = -1
        data.augment=[{ shift = 1.5 }] => data.augment[0].shift.pixels = 1.5 || whole number
        data.augment=[{ horizontal_flip = 2 }] => data.augment[0].horizontal_flip.p = 2 || from 0 to 1
        data.augment=[{ vertical_flip = -0.5 }] => data.augment[0].vertical_flip.p = -0.5
        data.augment=[{ rotation = 0 }] => data.augment[0].rotation.degrees = 0 || up to 180
        data.augment=[{ noise = -0.1 }] => data.augment[0].noise.std = -0.1 || from 0 on
        data.augment=[{ noise = "much" }] => data.augment[0].noise.std = "much" || a number is needed
        data.augment=[{ mixup = 0 }] => data.augment[0].mixup.alpha = 0 || above 0
        data.augment=[{ erasing = 0.5, scales = [0.1, 0.2] }] => data.augment[0].erasing.scales || "scale"
        data.augment=[{ erasing = 0.5, scale = [0.1, 2] }] => data.augment[0].erasing.scale = [0.1, 2] || from 0 to 1
        data.augment=[{ erasing = 0.5, scale = [0.1] }] => data.augment[0].erasing.scale = [0.1] || two numbers are needed
        data.augment=[{ erasing = 0.5, ratio = [0, 1] }] => data.augment[0].erasing.ratio = [0, 1] || above 0
        data.augment=[{ mixup = 1 }, { noise = 1 }] => data.augment[0]: mixup || last || data.augment[1] is noise
        data.augment=[{ mixup = 1 }, { mixup = 1 }] => data.augment[0]: mixup || once
        data.augmnt=[] => "augment"
    "#,
    );
}

/// The result of planning the run with these settings.
fn planned(settings: &[&str]) -> Result<TrainPlan> {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    plan(&Config::parse(DIGITS, &settings)?)
}

#[test]
fn what_does_not_fit_is_named_with_its_entry() {
    for (settings, words) in [
        (
            &["data.augment=[\"horizontal_flip\", { crop = 8 }]"][..],
            &["data.augment[1] (crop)", "padding = 8", "8 by 8", "at most 7"][..],
        ),
        (
            &["data.source=sources", "data.context=16", "data.augment=[{ shift = 1 }]"],
            &["data.augment[0] (shift)", "images", "[16]"],
        ),
        (
            &["data.source=sources", "data.context=16", "data.augment=[{ noise = 1 }]"],
            &["data.augment[0] (noise)", "f32", "I32"],
        ),
        (
            &["data.target=inputs", "data.augment=[{ mixup = 1 }]", "model.loss=mse"],
            &["data.augment[0]: mixup", "data.target", "leave one"],
        ),
    ] {
        let err = planned(settings).unwrap_err();
        assert!(err.is_usage(), "{err:?}");
        let text = err.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{settings:?}: {text}");
        assert!(!text.contains("layer data"), "{text}");
    }
}

/// One kernel more puts the samples in memory, and nothing of what is drawn lies there; rotation and erasing work out
/// what a sample has of its own first.
#[test]
fn augmentation_adds_few_kernels() {
    // Steps whose gradients are checked go kernel by kernel. Some kernels run side by side.
    let kernels = |list: &str| -> usize {
        let plan = planned(&[&format!("data.augment={list}"), "optimizer.clip_norm=1.0"]).unwrap();
        plan.train[0].plan.steps.iter().map(|step| step.kernel.each().len()).sum()
    };
    let plain = kernels("[]");
    for (list, more) in [
        ("[\"horizontal_flip\"]", 1),
        ("[\"horizontal_flip\", \"vertical_flip\", { crop = 2 }, { noise = 0.1 }]", 1),
        ("[{ noise = 0.1 }]", 1),
        ("[{ erasing = 0.25 }]", 2),
        ("[{ rotation = 10 }]", 2),
        ("[\"horizontal_flip\", { shift = 2 }, { rotation = 10 }, { erasing = 0.5 }, { noise = 0.1 }]", 4),
    ] {
        assert_eq!(kernels(list), plain + more, "{list}");
    }
}

/// Evaluation is planned as without.
#[test]
fn evaluation_costs_nothing() {
    let eval = |list: &str| {
        let train_plan = planned(&[&format!("data.augment={list}")]).unwrap();
        train_plan.eval.iter().map(|build| build.plan.steps.len()).collect::<Vec<_>>()
    };
    assert_eq!(eval("[\"horizontal_flip\", { shift = 2 }, { rotation = 10 }, { mixup = 0.2 }]"), eval("[]"));
}
