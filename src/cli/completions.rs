//! `bootgate completions`: what a shell needs to complete bootgate's command line.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::{args, say};

/// Print the completions for a shell.
///
/// They know every command, every option, and the words that an option takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate completions bash > ~/.local/share/bash-completion/completions/bootgate\n  bootgate completions zsh > ~/.zfunc/_bootgate\n  bootgate completions fish > ~/.config/fish/completions/bootgate.fish"
)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> ExitCode {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut args::command(), "bootgate", &mut text);
        say::answer(String::from_utf8_lossy(&text))
    }
}
