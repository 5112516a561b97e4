//! What to install, and what to avoid.

use serde::Serialize;

use super::about::{Adapter, least};
use super::verdict::{KernelReport, Verdict};
use crate::gpu::{AdapterDescription, AdapterKind};
use crate::units;

/// The importance of a piece of advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Training is wrong or impossible.
    Fault,
    /// Training is right, but slower or more limited than it could be.
    Caution,
    /// Information.
    Note,
}

/// A piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Its importance.
    pub level: Level,
    /// The problem and the remedy.
    pub text: String,
}

fn advice(level: Level, text: impl Into<String>) -> Advice {
    Advice { level, text: text.into() }
}

/// Packages to install, by system.
const INSTALL: [&str; 5] = [
    "Debian, Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers (a software adapter, and the drivers of AMD and Intel)",
    "Fedora: dnf install vulkan-loader mesa-vulkan-drivers (the same)",
    "Arch: pacman -S vulkan-icd-loader vulkan-swrast (a software adapter), vulkan-radeon for AMD, vulkan-intel for Intel",
    "NVIDIA: the vendor's driver; in a container its Vulkan libraries too (NVIDIA_DRIVER_CAPABILITIES=all), and libvulkan1",
    "macOS, Windows: Metal and DirectX 12 are part of the system; bring the graphics driver up to date",
];

/// Environment variables that hide drivers from the loader.
const HIDING: [&str; 2] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

fn hidden() -> impl Iterator<Item = Advice> {
    let set = HIDING.into_iter().filter(|name| std::env::var_os(name).is_some());
    set.map(|name| {
        advice(Level::Note, format!("{name} is set, so the loader sees no drivers but those it names"))
    })
}

/// Advice where no adapter answers.
pub(super) fn without_adapter() -> Vec<Advice> {
    INSTALL.into_iter().map(|text| advice(Level::Fault, text)).chain(hidden()).collect()
}

/// The oldest Mesa that the tests run on.
const OLDEST_MESA: (u32, u32) = (22, 3);

/// Mesa's version in a driver's description.
fn mesa(driver: &str) -> Option<(u32, u32)> {
    let version = driver.split("Mesa ").nth(1)?;
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Advice on an adapter, on the others that answer, and on the kernels; the most important first.
pub(super) fn of(adapter: &Adapter, list: &[AdapterDescription], kernels: &[KernelReport]) -> Vec<Advice> {
    let mut all: Vec<Advice> = kernels.iter().filter_map(of_kernel).collect();
    if kernels.iter().any(|k| matches!(k.verdict, Verdict::Wrong(_))) {
        all.push(advice(
            Level::Fault,
            "a wrong kernel is the driver's fault or downhill's: another version of the driver, or --adapter with another \
             adapter (downhill adapters lists them), tells which",
        ));
    }
    for limit in &adapter.limits {
        if let Some(least) = least(limit.name).filter(|least| limit.value < *least) {
            let text = format!(
                "{} = {}: {least} and more are counted on, so some kernels will be refused ({})",
                limit.name, limit.value, limit.meaning
            );
            all.push(advice(Level::Caution, text));
        }
    }
    let software = list.get(adapter.index).is_some_and(|a| a.kind == AdapterKind::Software);
    if software {
        all.extend(of_software(adapter, list));
    }
    if let Some((major, minor)) = mesa(&adapter.driver).filter(|version| *version < OLDEST_MESA) {
        let (old, older) = OLDEST_MESA;
        let text = format!(
            "Mesa {major}.{minor} is older than {old}.{older}, the oldest that downhill's tests run on; a newer one is better"
        );
        all.push(advice(Level::Caution, text));
    }
    if let Some(limit) = adapter.limits.iter().find(|l| l.name == "largest buffer" && l.value <= 128 << 20) {
        let text = format!(
            "the largest buffer is {}: {}; samples that are larger are streamed from the host",
            units::bytes(limit.value),
            limit.meaning
        );
        all.push(advice(Level::Note, text));
    }
    for feature in adapter.features.iter().filter(|f| !f.has) {
        all.push(advice(Level::Note, format!("no {}: {}", feature.name, feature.meaning)));
    }
    if software {
        all.extend(hidden());
    }
    all.sort_by_key(|advice| advice.level);
    all
}

fn of_software(adapter: &Adapter, list: &[AdapterDescription]) -> Vec<Advice> {
    let mut all = Vec::new();
    match list.iter().find(|a| a.kind != AdapterKind::Software) {
        Some(gpu) => all.push(advice(
            Level::Caution,
            format!(
                "this is a software adapter, and {} is there: --adapter auto, or --adapter {}",
                gpu.name, gpu.index
            ),
        )),
        None => {
            let text = "this is a software adapter: right, and slower than a GPU. If the machine has one, its driver does not \
                        answer; what there is to install:";
            all.push(advice(Level::Caution, text));
            all.extend(INSTALL.into_iter().map(|text| advice(Level::Caution, format!("  {text}"))));
        }
    }
    let wanted =
        "Mesa's lavapipe with subgroups of 8 is served by kernels without barriers, which are faster";
    if adapter.name.contains("llvmpipe") && adapter.subgroup_size != [8, 8] {
        let text = format!(
            "subgroups are not of 8: {wanted}; LP_NATIVE_VECTOR_WIDTH=256 in the environment asks for it"
        );
        all.push(advice(Level::Caution, text));
    } else if adapter.family != "subgroup" {
        all.push(advice(
            Level::Caution,
            format!("{wanted}: on Debian or Ubuntu apt-get install mesa-vulkan-drivers"),
        ));
    }
    all
}

/// Advice on a wrong kernel.
fn of_kernel(report: &KernelReport) -> Option<Advice> {
    let Verdict::Wrong(fault) = &report.verdict else { return None };
    let around = around(&report.kernel);
    Some(advice(Level::Fault, format!("{} is wrong ({fault}). {around}", report.kernel)))
}

/// The keys of a config that avoid a kernel.
pub(super) fn around(kernel: &str) -> String {
    let nothing = "Every training needs it: do not train on this adapter";
    if let Some(optimizer) = kernel.strip_prefix("optim/") {
        return match optimizer {
            "adam_8bit" => "Leave optimizer.state_bits = 8 out".into(),
            "adam" => "Take another optimizer.name than adam and adamw".into(),
            "schedule_free" => {
                "Take another optimizer.name than schedule_free_adamw and schedule_free_sgd".into()
            }
            name => format!("Take another optimizer.name than {name}"),
        };
    }
    match kernel {
        "cross_entropy" => "Take another model.loss than cross_entropy",
        "attention_subgroup" | "attention_tiled" => "Do without layers of attention (multi_head_attention)",
        "segment_sum" => "Do without embedding layers; one_hot and linear give the same",
        "matmul_subgroup_map" | "matmul_tiled" => "Do without convolutions (conv1d, conv2d and their transposes)",
        "buffers_commit" => "Do without layers that keep running means (batch_norm)",
        "half_weights" | "f16 in memory" => "Leave train.precision = \"f16\" out",
        "gradients" => {
            "Leave out optimizer.clip_norm, optimizer.skip_nonfinite, train.micro_batch and train.precision = \"f16\""
        }
        "accumulate" => "Leave train.micro_batch out",
        "statistics" => "Leave watch.statistics out",
        "tensor_norms" => "Take another optimizer.name than lamb, lars and adafactor",
        "shared/random" => "Do without dropout, augmentation and weight_rounding = \"stochastic\"",
        "shared/math" => "Activations and losses by exp, log, sin, tanh or erf are wrong; relu and mse are not",
        "shared/update" => "Leave out optimizer.groups, optimizer.clip_value and average",
        _ => nothing,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::about::{Feature, Limit};
    use super::*;

    fn adapter(name: &str, driver: &str, subgroup: u32, family: &'static str) -> Adapter {
        let limit = |name, value| Limit { name, value, meaning: "of use".into() };
        Adapter {
            index: 0,
            name: name.into(),
            kind: "software",
            because: String::new(),
            backend: "Vulkan".into(),
            driver: driver.into(),
            subgroup_size: [subgroup; 2],
            family,
            family_because: String::new(),
            reads: String::new(),
            reads_because: "",
            robust_buffers: true,
            pipeline_file: None,
            pipeline_file_because: String::new(),
            features: vec![Feature { name: "shader-f16", has: false, meaning: "f16 is refused".into() }],
            limits: vec![
                limit("largest buffer", 128 << 20),
                limit("max_compute_invocations_per_workgroup", 128),
            ],
        }
    }

    #[test]
    fn an_adapter_that_is_not_the_best_is_told_so() {
        let list = [
            AdapterDescription::fake(0, "llvmpipe", AdapterKind::Software),
            AdapterDescription::fake(1, "Radeon", AdapterKind::Discrete),
        ];
        let all = of(&adapter("llvmpipe", "llvmpipe Mesa 21.2.6 (LLVM 12)", 4, "tiled"), &list, &[]);
        let text: Vec<&str> = all.iter().map(|advice| advice.text.as_str()).collect();
        let text = text.join("\n");
        for part in [
            "Radeon is there",
            "--adapter 1",
            "LP_NATIVE_VECTOR_WIDTH",
            "Mesa 21.2 is older",
            "shader-f16",
            "256 and more",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(all.is_sorted_by_key(|advice| advice.level));
        let alone = of(&adapter("SwiftShader", "SwiftShader driver", 4, "tiled"), &list[..1], &[]);
        assert!(alone.iter().any(|a| a.text.contains("mesa-vulkan-drivers") && a.text.contains("lavapipe")));
    }

    #[test]
    fn versions_of_mesa_are_read() {
        assert_eq!(mesa("llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"), Some((22, 3)));
        assert_eq!(mesa("radv Mesa 24.0.9-0ubuntu0.2"), Some((24, 0)));
        assert_eq!(mesa("NVIDIA 535.183.01"), None);
    }
}
