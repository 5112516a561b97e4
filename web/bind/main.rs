//! Makes the page's module of a compiled engine: `bind ENGINE.wasm FOLDER`. `scripts/web.sh` builds it with the version of
//! wasm-bindgen that Cargo.lock has.

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [engine, folder] = std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "two paths are needed")?;
    Bindgen::new()
        .input_path(engine)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)?;
    Ok(())
}
