//! `downhill reference`

use std::path::PathBuf;

use clap::{Arg, Args, Command};
use downhill::Error;
use downhill::report::{Page, reference_pages};

use super::output::println;

/// Print a reference page, or write all of them: config, data, layers, optimizers and more
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill reference
  downhill reference layers
  downhill reference --out docs/reference

Without a page it lists the pages. They are in Markdown.")]
pub struct ReferenceArgs {
    /// The page to print
    #[arg(value_name = "PAGE")]
    page: Option<String>,
    /// Write every page into this folder as PAGE.md
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    out: Option<PathBuf>,
}

impl ReferenceArgs {
    pub fn run(&self, program: Command) -> anyhow::Result<()> {
        let mut pages = reference_pages();
        pages.push(commands_page(&program));
        if let Some(folder) = &self.out {
            std::fs::create_dir_all(folder).map_err(|err| Error::io("cannot create", folder, &err))?;
            for page in &pages {
                let path = folder.join(page.name).with_added_extension("md");
                std::fs::write(&path, &page.text).map_err(|err| Error::io("cannot write", &path, &err))?;
            }
            return Ok(());
        }
        let names: Vec<&str> = pages.iter().map(|page| page.name).collect();
        let Some(name) = &self.page else {
            println(&names.join("\n"));
            return Ok(());
        };
        match pages.iter().find(|page| page.name == name) {
            Some(page) => println(page.text.trim_end()),
            None => {
                let text = format!("no page is named \"{name}\"; there are: {}", names.join(", "));
                return Err(Error::Config(text).into());
            }
        }
        Ok(())
    }
}

const INTRO: &str = "\
`downhill help COMMAND` prints the same. Exit codes: 0; 1 the run failed (no adapter, weights that do not fit, a loss \
that is not finite, a full disk); 2 the command line or the config is wrong; 3 an assertion does not hold; 130 the run \
was stopped.";

/// The page of commands, from the tree of the parser.
fn commands_page(root: &Command) -> Page {
    let mut page = Page::new("commands", "Commands", INTRO);
    let mut commands = Vec::new();
    collect(root, &mut commands);
    page.table(
        ["command", "what it does"],
        commands.iter().map(|(name, command)| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            [format!("[`{name}`](#{})", name.replace(' ', "-")), about]
        }),
    );
    for (name, command) in &commands {
        page.section(name, "");
        let usage = (*command).clone().bin_name(name.as_str()).render_usage().to_string();
        page.block(usage.trim_start_matches("Usage: "));
        let arguments: Vec<&Arg> = command.get_arguments().filter(|arg| !arg.is_hide_set()).collect();
        if !arguments.is_empty() {
            page.table(["argument", "meaning"], arguments.into_iter().map(|arg| [title(arg), meaning(arg)]));
        }
        if let Some(help) = command.get_after_help() {
            page.block(&help.to_string());
        }
    }
    page
}

/// The commands that do something, with their full names: `downhill data synth`.
fn collect<'c>(command: &'c Command, out: &mut Vec<(String, &'c Command)>) {
    fn below<'c>(path: &str, command: &'c Command, out: &mut Vec<(String, &'c Command)>) {
        let name = format!("{path} {}", command.get_name());
        if !command.has_subcommands() {
            out.push((name, command));
            return;
        }
        command.get_subcommands().for_each(|sub| below(&name, sub, out));
    }
    command.get_subcommands().for_each(|sub| below(command.get_name(), sub, out));
}

/// `--out DIR`, or the name of a positional argument.
fn title(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let value =
        arg.get_value_names().filter(|_| takes_value).map(|names| names.join(" ")).unwrap_or_default();
    match arg.get_long() {
        Some(long) => format!("`{}`", format!("--{long} {value}").trim_end()),
        None if value.is_empty() => format!("`{}`", arg.get_id().as_str().to_uppercase()),
        None => format!("`{value}`"),
    }
}

/// The help of an argument with its values and its default.
fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('<', "\\<");
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect();
    if arg.get_action().takes_values() && !values.is_empty() {
        text += &format!(". One of {}", values.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        text += &format!(". Default: {}", defaults.join(", "));
    }
    text + "."
}
