//! Nets as Python modules of `torch.nn`.

use std::collections::BTreeSet;
use std::path::Path;

use downhill::data::{ArrayEncoding, Encoding};
use downhill::graph::DType;
use downhill::infer::Head;
use downhill::nn::Layer;

use crate::cases::{Case, Exports, Numbers, WITH_OPTIONS, cases, parse};
use crate::python;

#[test]
fn every_layer_of_the_table_has_a_form() {
    for row in Layer::TABLE {
        let case = Case::shortest(row.form.example);
        let text = case.exported().pytorch("net.safetensors").unwrap_or_else(|err| panic!("{err}"));
        assert!(text.contains("class Net(nn.Sequential):"), "{text}");
        // A layer that torch has is torch's own, or a class of its own name that is built on it.
        if let Some(class) = row.torch.and_then(|class| class.strip_prefix("torch.")) {
            let class = class.trim_end_matches("2d").trim_end_matches("1d");
            assert!(text.contains(class), "{}: no {class} in\n{text}", row.form.name);
        }
    }
    let with_options: BTreeSet<&str> =
        WITH_OPTIONS.iter().flat_map(|(layers, _)| parse(layers).layers).map(|layer| layer.name()).collect();
    assert!(with_options.len() > 30, "{}", with_options.len());
}

#[test]
fn what_torch_lacks_is_refused_by_name() {
    for layers in
        ["\"batch_norm\"", "{ block = { name = \"body\", layers = [\"instance_norm\"] } }", "\"dropout2d\""]
    {
        let case = Case::new(layers, &[2, 2, 2, 2, 2], DType::F32);
        let err = case.exported().pytorch("net.safetensors").expect_err(layers).to_string();
        let name = parse(layers).layers[0].name();
        let name = if name == "block" { "body.0 (instance_norm)" } else { name };
        assert!(err.contains(name) && err.contains("[2, 2, 2, 2, 2, 2]"), "{err}");
    }
}

#[test]
fn other_weights_are_refused() {
    let case = Case::new("{ linear = 3 }", &[5], DType::F32);
    let mut weights = case.weights(&mut Numbers(1));
    case.exported().check(&weights).expect("its own");
    weights[0].name = "1.weight".into();
    let err = case.exported().check(&weights).expect_err("another's").to_string();
    assert!(err.contains("0.weight") && err.contains("1.weight"), "{err}");
}

/// The module is what a person would write.
#[test]
fn a_module_reads_well() {
    let layers = "{ conv2d = { out_channels = 4, kernel_size = 3, padding = \"same\" } }, \"relu\", \
                  { residual = [{ conv2d = { out_channels = 4, kernel_size = 1, bias = false } }, \"batch_norm\"] }, \
                  { max_pool2d = 2 }, \"flatten\", { linear = 2 }";
    let unit = ArrayEncoding { shape: vec![1, 8, 8], divisor: 255.0, mean: vec![0.5], std: vec![0.25] };
    let encoding = Some(Encoding::Array(unit));
    let case = Case { encoding, ..Case::new(layers, &[1, 8, 8], DType::F32) };
    let mut exported = case.exported();
    exported.head = Head::Softmax;
    exported.classes = vec!["cat".into(), "dog".into()];
    exported.title = "runs/pets-1".into();
    let text = exported.pytorch("model.safetensors").expect("a module");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/pets.py");
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{}", path.display());
}

/// Runs each module on its inputs: whole numbers where the name says so.
const SCRIPT: &str = r#"
import importlib, sys, torch
from safetensors.torch import load_file, save_file
sys.path.insert(0, ".")
outputs = {}
with torch.no_grad():
    for name, x in load_file("inputs.safetensors").items():
        module = importlib.import_module(name)
        net = module.load()
        own = set(load_file(module.WEIGHTS))
        if not hasattr(module, "RENAMED"):
            assert set(net.state_dict()) == own, (name, set(net.state_dict()) ^ own)
        outputs[name] = net(x.int() if name.startswith("int") else x).contiguous()
save_file(outputs, "outputs.safetensors")
"#;

/// Plain torch in f32 and we, each off by its rounding.
#[test]
fn every_layer_gives_what_torch_gives() {
    let Some(python) = python::with_torch() else { return };
    let mut exports = Exports::new();
    let mut numbers = Numbers(16);
    for (i, case) in cases().into_iter().enumerate() {
        let kind = if case.dtype == DType::I32 { "int" } else { "net" };
        let name = format!("{kind}_{i}");
        let weights = exports.add(&name, case, &mut numbers);
        let module = exports.last().exported().pytorch(&format!("{name}.safetensors")).expect("a module");
        downhill::run::save(&exports.file(&name, "safetensors"), &weights).expect("weights");
        std::fs::write(exports.file(&name, "py"), module).expect("a module");
    }
    exports.check(&python, SCRIPT);
}
