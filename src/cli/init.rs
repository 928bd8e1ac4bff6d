//! `bootgate init`: the first gate file for an image.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::evidence::write_atomically;
use crate::init::{Draft, GateImage, InitError, draft, look};
use crate::machine::Verdict;
use crate::plan;
use crate::text::{printable_json, terminal_line};

use super::say;

/// How much of a sentence is shown, in characters.
const CHARS_MAX: usize = 400;
/// What stands for standard output.
const STDOUT: &str = "-";

/// Look into an ISO image or a disk, and write a gate file for it that runs.
///
/// What is looked at: the label, the boot loaders and for which firmware they are, the kernel's arguments, the system in a
/// squashfs or on a disk, whether it starts an SSH server, how it lets somebody in, which line says that it is up, and what may
/// install it. Each setting in the file says what was seen where, and what to change if that is wrong. Nothing is started,
/// mounted or written but the file. Nobody needs to be root.
///
/// Exit code 0: the file is written; 1: the image is damaged; 2: it is no image, or the file is there already; 4: this host
/// lacks what it takes to read it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate init live.iso\n  bootgate init disk.qcow2 -o disk-gate.toml\n  bootgate init live.iso -o -"
)]
pub(super) struct Init {
    /// The ISO image, or the raw or qcow2 disk. It is only read.
    image: PathBuf,
    /// Where the gate file goes; `-` prints it.
    #[arg(long, short, value_name = "FILE", default_value = "gate.toml")]
    output: PathBuf,
    /// Replace the gate file if it exists.
    #[arg(long)]
    force: bool,
    /// Print what was seen as JSON, with the gate file's text.
    #[arg(long)]
    json: bool,
}

/// What went wrong, what to do about it, and the exit code.
struct Trouble {
    problem: String,
    help: String,
    code: u8,
}

impl From<InitError> for Trouble {
    fn from(error: InitError) -> Self {
        Self {
            problem: error.to_string(),
            help: error.mend(),
            code: error.exit_code(),
        }
    }
}

impl Init {
    pub(super) fn execute(self) -> ExitCode {
        match self.make() {
            Ok(draft) => self.told(&draft),
            Err(trouble) => {
                if self.json {
                    let error = json!({ "error": trouble.problem, "help": trouble.help });
                    let _ = say::answer(printable_json(&error, true) + "\n");
                } else {
                    say::tell(format_args!(
                        "error: {}\n  help: {}",
                        terminal_line(&trouble.problem, CHARS_MAX),
                        terminal_line(&trouble.help, CHARS_MAX)
                    ));
                }
                ExitCode::from(trouble.code)
            }
        }
    }

    fn prints(&self) -> bool {
        self.output == Path::new(STDOUT)
    }

    /// Looks, and writes the file if one is wanted.
    fn make(&self) -> Result<Draft, Trouble> {
        // Before the look, which may take a while.
        if !self.prints() && !self.force && self.output.symlink_metadata().is_ok() {
            return Err(there_already(&self.output));
        }
        let survey = look(&self.image)?;
        let written = written(&self.image, &self.output, self.prints())?;
        let draft = draft(&survey, &GateImage { written });
        let file = if self.prints() {
            Path::new("gate.toml")
        } else {
            &self.output
        };
        plan::parse(file, &draft.text).map_err(|errors| Trouble {
            problem: format!(
                "bootgate has written a gate file that it refuses: {}",
                errors.render(false)
            ),
            help: "report it, with the output of `bootgate init --json -o -`".to_owned(),
            code: Verdict::EXIT_INTERNAL,
        })?;
        if !self.prints() {
            self.write(&draft.text)?;
        }
        Ok(draft)
    }

    fn write(&self, text: &str) -> Result<(), Trouble> {
        let made = if self.force {
            write_atomically(&self.output, text.as_bytes())
        } else {
            write_new(&self.output, text)
        };
        made.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => there_already(&self.output),
            _ => Trouble {
                problem: format!("`{}` can't be written: {error}", self.output.display()),
                help: "name another place with -o, or print the file with `-o -`".to_owned(),
                code: 4,
            },
        })
    }

    fn told(&self, draft: &Draft) -> ExitCode {
        if self.json {
            let output = (!self.prints()).then(|| self.output.display().to_string());
            let value = json!({
                "output": output,
                "seen": draft.seen,
                "warnings": draft.warnings,
                "gate": draft.text,
            });
            return say::answer(printable_json(&value, true) + "\n");
        }
        if self.prints() {
            tell_warnings(draft);
            return say::answer(&draft.text);
        }
        for line in &draft.seen {
            say::tell(format_args!("· {}", terminal_line(line, CHARS_MAX)));
        }
        tell_warnings(draft);
        let file = self.output.display();
        say::answer(format_args!("{file}\n  next: bootgate run {file}\n"))
    }
}

fn tell_warnings(draft: &Draft) {
    for warning in &draft.warnings {
        say::tell(format_args!("warning: {}", terminal_line(warning, CHARS_MAX)));
    }
}

fn there_already(output: &Path) -> Trouble {
    Trouble {
        problem: format!("`{}` is there already, and nothing was written", output.display()),
        help: "name another file with -o, print it with `-o -`, or replace it with --force".to_owned(),
        code: Verdict::EXIT_USAGE,
    }
}

/// Writes a file that must not be there: whole, or not at all.
fn write_new(output: &Path, text: &str) -> std::io::Result<()> {
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let draft = output.with_file_name(format!(
        "{}{name}-{}",
        crate::evidence::DRAFT_PREFIX,
        uuid::Uuid::new_v4().simple()
    ));
    let made = std::fs::File::create_new(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // A link takes no name that somebody else has.
    let linked = made.and_then(|()| std::fs::hard_link(&draft, output));
    let _ = std::fs::remove_file(&draft);
    linked
}

/// How the gate file names the image: relative to itself where the image lies below it, else in full.
fn written(image: &Path, output: &Path, prints: bool) -> Result<String, Trouble> {
    let trouble = |error: std::io::Error| Trouble {
        problem: format!("`{}` can't be found: {error}", image.display()),
        help: "check the path".to_owned(),
        code: 4,
    };
    let full = std::path::absolute(image).map_err(trouble)?;
    let beside = if prints {
        Path::new("")
    } else {
        output.parent().unwrap_or(Path::new(""))
    };
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        beside
    };
    let beside = std::path::absolute(beside).map_err(trouble)?;
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let directory = full.parent().and_then(real);
    let below = directory.zip(real(&beside)).and_then(|(directory, beside)| {
        let below = directory.strip_prefix(beside).ok()?;
        Some(below.join(full.file_name()?))
    });
    let written = below.unwrap_or(full);
    match written.to_str() {
        // `~` is not expanded in a gate file, so it is refused there.
        Some(text) if text.starts_with('~') => Ok(format!("./{text}")),
        Some(text) => Ok(text.to_owned()),
        None => Err(Trouble {
            problem: format!("the path `{}` is not UTF-8, and a gate file is", written.display()),
            help: "rename the image".to_owned(),
            code: Verdict::EXIT_USAGE,
        }),
    }
}
