//! A run as it goes: bars and a curve on a terminal, lines in a pipe, JSON, or nothing.

mod curve;
mod frame;
mod json;
mod line;
mod meter;
mod plain;
mod render;
mod screen;
mod state;

use std::io::IsTerminal;

use downhill::error::Result;
use downhill::run::{Outcome, Session};
use downhill::train::Observer;

use super::args::RunArgs;
pub(super) use json::Json;
use plain::Plain;
use screen::Screen;

/// Shows a run; dropped, it takes what it drew off the terminal.
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
            (_, true) => View::Json(Json::of(session.dir().path())),
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

    /// The run came to its end, and everything is written.
    pub fn end(self, outcome: Option<&Outcome>) -> Result<()> {
        match (self, outcome) {
            (View::Json(json), Some(outcome)) => json.end(outcome),
            _ => Ok(()),
        }
    }
}

/// Standard error is a terminal whose cursor moves.
fn can_move() -> bool {
    let dumb = match std::env::var_os("TERM") {
        Some(term) => term == "dumb",
        // Elsewhere every terminal says what it is.
        None => !cfg!(windows),
    };
    std::io::stderr().is_terminal() && !dumb
}
