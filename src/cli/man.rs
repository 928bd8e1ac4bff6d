//! `bootgate man`: the manual pages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};

use crate::evidence::write_atomically;

use super::{args, say};

/// The exit code if the pages can't be written.
const EXIT_UNWRITTEN: u8 = 4;

/// Write the manual pages: one for bootgate and one for each command.
///
/// They are the words of `--help`. The directory is made if it is not there; pages of the same names are replaced.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The directory, such as `/usr/local/share/man/man1`.
    directory: PathBuf,
}

impl Man {
    pub(super) fn execute(self) -> ExitCode {
        match write_all(&self.directory) {
            Ok(count) => say::answer(format_args!("{}: {count} pages\n", self.directory.display())),
            Err(error) => {
                let directory = self.directory.display();
                say::tell(format_args!(
                    "error: the pages can't be written to `{directory}`: {error}\n  help: name a directory that is yours"
                ));
                ExitCode::from(EXIT_UNWRITTEN)
            }
        }
    }
}

fn write_all(directory: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(directory)?;
    let mut whole = args::command().disable_help_subcommand(true);
    whole.build();
    let commands: Vec<Command> = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    let count = commands.len() + 1;
    write_one(directory, whole, "bootgate")?;
    for command in commands {
        let name = format!("bootgate-{}", command.get_name());
        write_one(directory, command, &name)?;
    }
    Ok(count)
}

fn write_one(directory: &Path, command: Command, name: &str) -> std::io::Result<()> {
    let mut page = Vec::new();
    // The name of the page; its name and synopsis are the command's own, from `build`.
    clap_mangen::Man::new(command)
        .title(name.to_uppercase())
        .render(&mut page)?;
    let page = with_examples(&String::from_utf8_lossy(&page)).into_bytes();
    let path = directory.join(format!("{name}.1"));
    write_atomically(&path, &page)?;
    // Everybody reads manuals.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

/// clap's examples are a section of running text; here they keep their lines.
fn with_examples(page: &str) -> String {
    let Some((before, after)) = page.split_once(".SH EXTRA\n") else {
        return page.to_owned();
    };
    let (examples, rest) = after.split_once("\n.SH ").unwrap_or((after, ""));
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(".SH {rest}")
    };
    format!("{before}.SH EXAMPLES\n.nf\n{examples}\n.fi\n{rest}")
}
