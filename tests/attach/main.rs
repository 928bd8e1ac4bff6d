//! `bootgate inspect RUN console` against a holder that is the test itself: on a terminal and through pipes.

mod holder;
mod pipes;
mod terminal;
#[path = "../support/window.rs"]
mod window;
