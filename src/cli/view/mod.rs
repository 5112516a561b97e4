//! Shows a run: bars and a curve on a terminal, lines in a pipe, JSON, or nothing.

mod curve;
mod frame;
mod json;
mod line;
mod meter;
mod plain;
mod render;
mod screen;
mod state;
mod sweep;

use std::io::IsTerminal;

use downhill::error::Result;
use downhill::run::{Outcome, Session};
use downhill::train::Observer;

use super::run_args::RunArgs;
pub(super) use json::Json;
use plain::Plain;
pub(super) use plain::evaluated;
use screen::Screen;
pub(super) use sweep::SweepView;

/// Shows a run. Dropping it clears its drawing from the terminal.
pub(super) enum View {
    Screen(Screen),
    Plain(Plain),
    Json(Json),
    Quiet(()),
}

impl View {
    pub fn new(how: &RunArgs, session: &Session) -> View {
        match (how.quiet, how.json) {
            (true, _) => View::Quiet(()),
            (_, true) => View::Json(Json::new(session.dir().path())),
            _ if can_move() => View::Screen(Screen::open(session.handle())),
            _ => View::Plain(Plain::default()),
        }
    }

    pub fn observer(&mut self) -> &mut dyn Observer {
        match self {
            View::Screen(screen) => screen,
            View::Plain(plain) => plain,
            View::Json(json) => json,
            View::Quiet(nothing) => nothing,
        }
    }

    /// Reports the end of the run, after everything is written.
    pub fn end(self, outcome: Option<&Outcome>) -> Result<()> {
        match (self, outcome) {
            (View::Json(json), Some(outcome)) => json.end(outcome),
            _ => Ok(()),
        }
    }
}

/// True where standard error is a terminal whose cursor can move.
fn can_move() -> bool {
    let dumb = match std::env::var_os("TERM") {
        Some(term) => term == "dumb",
        // On other systems every terminal sets TERM.
        None => !cfg!(windows),
    };
    std::io::stderr().is_terminal() && !dumb
}
