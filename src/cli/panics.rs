//! A panic while a view is drawn: its words stand alone, with no row of the view above them.

use std::panic::{set_hook, take_hook};
use std::sync::Once;
use std::sync::mpsc::sync_channel;
use std::thread;

use tokio::sync::mpsc::Sender;

use super::present::{GONE_WITHIN, Text};
use super::print::{self, who_draws};

/// The thread whose panic ends the program; what another one was to do is given up, and the run goes on.
const FIRST_THREAD: &str = "main";

/// From now on the view goes before a panic is told.
pub(super) fn give_way() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = take_hook();
        set_hook(Box::new(move |panic| {
            let thread = thread::current();
            // Who draws can't be asked to stop when it is what panics; the words stand below the view then.
            let texts = who_draws().filter(|_| thread.name() != Some(print::THREAD));
            if let Some(texts) = &texts {
                take_away(texts);
            }
            tell(panic);
            if let Some(texts) = texts.filter(|_| thread.name() != Some(FIRST_THREAD)) {
                let _ = texts.try_send(Text::Resume);
            }
        }));
    });
}

/// Waits as a thread does: a runtime may be what panics.
fn take_away(texts: &Sender<Text>) {
    let (gone, is_gone) = sync_channel(1);
    let pause = Text::Pause(Box::new(move || {
        let _ = gone.try_send(());
    }));
    if texts.try_send(pause).is_ok() {
        let _ = is_gone.recv_timeout(GONE_WITHIN);
    }
}

#[cfg(test)]
mod tests;
