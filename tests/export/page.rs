//! Nets as pages: Chromium runs them by WebGPU on SwiftShader, and they give the engine's outputs.
//!
//! `DOWNHILL_CHROMIUM` names the browser; else it is looked for on the PATH. Where there is none, the tests say so and pass:
//! `scripts/setup-chromium.sh` installs one, as `make test` does.

use std::path::Path;

use downhill::config::Config;
use downhill::data::Encoding;
use downhill::graph::DType;
use downhill::infer::Head;
use downhill::plan::NamedTensor;
use downhill::shape::Shape;
use serde_json::{Value, json};

use crate::cases::{Case, Exports, Numbers, cases, example, small};
use crate::chromium::Browser;

/// The promise, relative to the largest output.
const BOUND: f64 = 1e-5;

/// Runs each net on its samples, one by one, and gives the largest difference of each.
const NETS: &str = "\
import { load } from './NAME/net.js';
const floats = async (file) => new Float32Array(await (await fetch(file)).arrayBuffer());
const [x, wanted] = await Promise.all([floats('NAME/x.bin'), floats('NAME/y.bin')]);
const net = await load('./NAME');
net.device.addEventListener('uncapturederror', (event) => problems.push(`NAME: ${event.error.message}`));
const each = net.program.input.count;
let worst = 0, largest = 0, at = 0;
for (let i = 0; i < x.length / each; i++) {
  for (const value of await net.run(x.subarray(i * each, (i + 1) * each))) {
    const off = Math.abs(value - wanted[at]);
    worst = Math.max(worst, off);
    largest = Math.max(largest, Math.abs(wanted[at++]));
  }
}
if (at !== wanted.length) problems.push(`NAME: ${at} numbers of ${wanted.length}`);
found.NAME = [worst, largest, net.program.steps.length];
net.device.destroy();
";

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn write_page(folder: &Path, files: Vec<(&'static str, Vec<u8>)>) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
}

/// Writes the pages of these nets, with samples and the engine's outputs, and runs them all.
#[track_caller]
fn check(browser: &Browser, nets: Vec<(String, Case, Head)>) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let mut exports = Exports::new();
    let mut numbers = Numbers(23);
    let mut script = String::from("const found = {}, problems = [];\n");
    let names: Vec<String> = nets.iter().map(|(name, ..)| name.clone()).collect();
    for (name, case, head) in nets {
        let weights = small(case.weights(&mut numbers));
        let weights = exports.add_with(&name, case, weights, head, &mut numbers);
        let place = folder.path().join(&name);
        let mut exported = exports.last().exported();
        exported.head = head;
        write_page(&place, exported.page(&weights).unwrap_or_else(|err| panic!("{name}: {err}")));
        let (x, y) = exports.last_values();
        std::fs::write(place.join("x.bin"), bytes(x)).expect("samples");
        std::fs::write(place.join("y.bin"), bytes(y)).expect("outputs");
        script +=
            &format!("await (async () => {{\n{}}})();\n", imports_made_calls(&NETS.replace("NAME", &name)));
    }
    script += "return { found, problems };";
    let answer = browser.run(folder.path(), &script);
    assert_eq!(answer["problems"], json!([]), "{answer}");
    for name in names {
        let [worst, largest] = [0, 1].map(|i| answer["found"][&name][i].as_f64().unwrap_or(f64::NAN));
        assert!(largest > 0.0 && worst <= BOUND * largest, "{name}: off by {worst:e} of {largest}");
    }
    answer["found"].clone()
}

/// A module's first import as a call, so that many stand in one script.
fn imports_made_calls(script: &str) -> String {
    script.replacen("import { load } from ", "const { load } = await import(new URL(", 1).replacen(
        "net.js';",
        "net.js', location));",
        1,
    )
}

#[test]
fn examples_give_the_same_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    let found = check(&browser, ["digits", "digits_cnn"].map(example).into());
    println!("{found}");
}

#[test]
#[ignore = "a software adapter compiles the kernels of these for minutes: make page-test"]
fn deep_nets_give_the_same_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    check(&browser, ["digits_resnet", "tiny_gpt"].map(example).into());
}

#[test]
#[ignore = "a software adapter compiles the kernels of all layers for minutes: make page-test"]
fn every_layer_gives_the_same_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    let whole = cases().into_iter().filter(|case| !case.takes_statistics_of_the_batch());
    let nets = whole.enumerate().map(|(i, case)| (format!("net_{i}"), case, Head::Numbers));
    check(&browser, nets.collect());
}

#[test]
fn a_net_that_needs_a_batch_is_refused() {
    let case = Case::new("{ batch_norm = { track_running_stats = false } }", &[3], DType::F32);
    let err = case.exported().page(&case.weights(&mut Numbers(1))).expect_err("no page").to_string();
    assert!(err.contains("track_running_stats") && err.contains("onnx"), "{err}");
}

/// The beginning of a script that uses widgets as a person would.
const HANDS: &str = r#"
const problems = [], seen = {};
const wait = async (what, test) => {
  for (let i = 0; i < 4000; i++) {
    const value = test();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain for ${what}`);
};
const open = async (folder) => {
  const frame = document.createElement('iframe');
  Object.assign(frame, { src: `${folder}/index.html`, width: 1000, height: 700 });
  document.body.append(frame);
  await new Promise((resolve) => frame.addEventListener('load', resolve));
  frame.contentWindow.addEventListener('error', (event) => problems.push(`${folder}: ${event.message}`));
  const page = frame.contentDocument;
  return { page, one: (query) => page.querySelector(query), all: (query) => [...page.querySelectorAll(query)], window: frame.contentWindow };
};
const quiet = (name, { one }) => { if (one('#status').textContent) problems.push(`${name}: ${one('#status').textContent}`); };
"#;

/// Draws, opens an image, fills in a form, and looks at the answers.
const WIDGETS: &str = r#"
const digits = await open('digits');
await wait('bars', () => digits.all('.bars li').length === 10);
const before = digits.one('.bars').textContent;
const pad = digits.one('.pad'), box = pad.getBoundingClientRect();
const pointer = (type, x, y) => pad.dispatchEvent(new digits.window.PointerEvent(type, { clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1 }));
pointer('pointerdown', 0.5, 0.05);
pointer('pointermove', 0.5, 0.95);
pointer('pointerup', 0.5, 0.95);
await wait('another answer', () => digits.one('.bars').textContent !== before);
const image = document.createElement('canvas');
[image.width, image.height] = [8, 8];
const paint = image.getContext('2d');
for (let i = 0; i < 64; i++) {
  paint.fillStyle = `rgb(${(i * 37) % 256} ${(i * 37) % 256} ${(i * 37) % 256})`;
  paint.fillRect(i % 8, Math.floor(i / 8), 1, 1);
}
const blob = await new Promise((resolve) => image.toBlob(resolve, 'image/png'));
const files = new digits.window.DataTransfer();
files.items.add(new digits.window.File([blob], 'image.png', { type: 'image/png' }));
const drawn = digits.one('.bars').textContent;
digits.one('input[type=file]').files = files.files;
digits.one('input[type=file]').dispatchEvent(new digits.window.Event('change'));
await wait('an answer to the image', () => digits.one('.bars').textContent !== drawn);
const pixels = (canvas) => [...canvas.getContext('2d').getImageData(0, 0, 8, 8).data];
const read = pixels(digits.one('.seen'));
seen.blurred = Math.max(...pixels(image).map((value, i) => Math.abs(value - read[i])));
seen.digits = digits.all('.bars .name').map((name) => name.textContent);
quiet('digits', digits);

const tabular = await open('tabular');
await wait('an answer', () => tabular.all('.answer li').length > 0);
const field = tabular.one('.fields input'), answered = tabular.one('.answer').textContent;
field.value = '1e3';
field.dispatchEvent(new tabular.window.Event('input', { bubbles: true }));
await wait('another answer', () => tabular.one('.answer').textContent !== answered);
quiet('tabular', tabular);
field.value = '';
field.dispatchEvent(new tabular.window.Event('input', { bubbles: true }));
seen.missing = await wait('an error', () => tabular.one('#status.wrong')?.textContent);
await new Promise((resolve) => setTimeout(resolve, 500));
seen.stale = tabular.all('.answer li').length + (tabular.one('#status.wrong') ? 0 : 1);

const autoencoder = await open('autoencoder');
await wait('a picture', () => autoencoder.one('.answer canvas'));
quiet('autoencoder', autoencoder);
return { problems, seen };
"#;

/// Lets a net go on with a text.
const WRITING: &str = r#"
const text = await open('tiny_gpt');
const button = await wait('a button', () => text.one('button'));
const length = text.one('textarea').value.length;
button.click();
await wait('three characters', () => text.one('textarea').value.length >= length + 3);
button.click();
quiet('tiny_gpt', text);
return { problems, seen };
"#;

/// Writes the pages of examples and runs a script on their widgets.
#[track_caller]
fn use_widgets(browser: &Browser, names: &[&str], script: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    for &name in names {
        let (_, case, _) = example(name);
        let path = format!("{}/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let config = Config::load(path.as_ref(), &[]).expect("an example");
        let weights: Vec<NamedTensor> = case.weights(&mut Numbers(5));
        let encoding: Option<Encoding> = case.encoding.clone();
        let mut exported = config.exported(name, encoding.as_ref()).expect("a net");
        exported.sample = Shape::from(&case.sample[..]);
        write_page(&folder.path().join(name), exported.page(&weights).expect("a page"));
    }
    let answer = browser.run(folder.path(), &format!("{HANDS}{script}"));
    assert_eq!(answer["problems"], json!([]), "{answer}");
    answer
}

#[test]
#[ignore = "a software adapter compiles the kernels of a GPT for a minute: make page-test"]
fn a_text_goes_on_in_a_page() {
    let Some(browser) = Browser::find() else { return };
    use_widgets(&browser, &["tiny_gpt"], WRITING);
}

#[test]
fn widgets_of_a_page_answer() {
    let Some(browser) = Browser::find() else { return };
    let answer = use_widgets(&browser, &["digits", "tabular", "autoencoder"], WIDGETS);
    assert_eq!(
        answer["seen"]["digits"],
        json!(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
        "{answer}"
    );
    // Grey of three equal parts is off by a rounding.
    assert!(answer["seen"]["blurred"].as_f64().is_some_and(|off| off <= 1.0), "{answer}");
    assert_eq!(answer["seen"]["stale"], 0, "{answer}");
    let missing = answer["seen"]["missing"].as_str().expect("an error");
    assert!(missing.ends_with("a value is needed"), "{missing}");
}

/// Modules are not loaded from `file:`, so the page itself says how it is opened.
#[test]
fn a_page_opened_as_a_file_says_how_it_is_served() {
    let Some(browser) = Browser::find() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (name, case, _) = example("digits");
    let mut exported = case.exported();
    exported.title = format!("<b>{name}</b> \" {{about}}");
    write_page(folder.path(), exported.page(&case.weights(&mut Numbers(5))).expect("a page"));
    let dom = browser.dom(&folder.path().join("index.html"));
    assert!(dom.contains("Serve this folder: python3 -m http.server"), "{dom}");
    assert!(dom.contains("<h1>&lt;b&gt;digits&lt;/b&gt; \" {about}</h1>"), "{dom}");
}
