//! The verbs, as they are carried out on a run: over the control socket while its machine is held, from the evidence where
//! that is enough.

use std::fmt::Display;
use std::io::{Write as _, stdout};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::say;
use crate::control::{GuestAccess, HoldStatus, Request, TypeInto};
use crate::driver::CHECKPOINT;
use crate::evidence::RunRecord;
use crate::machine::Verdict;
use crate::procfs::{ProcessGrip, ProcessIdentity};
use crate::text::{json_text, lines, printable_json, terminal_line};
use crate::units::ByteSize;

use super::client::{self, ClientError};
use super::verb::Verb;
use super::{attach, disk, show};

/// The exit code if the machine did not do what it was asked.
const EXIT_REFUSED: u8 = 4;
/// How long a holder may take to end its machine by the ladder, and itself.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const LINE_CHARS_MAX: usize = 512;

/// What a verb came to: what is printed, and what to do next.
struct Done {
    said: String,
    json: Value,
    next: &'static str,
}

/// Carries out a verb on a run.
pub(in crate::cli) fn perform(record: &RunRecord, verb: Verb, as_json: bool) -> ExitCode {
    let run = Target { record };
    let done = match verb {
        Verb::Show => return run.show(as_json),
        Verb::Console => return run.streamed(attach::console(record)),
        Verb::Ssh { command } if command.is_empty() => return run.streamed(run.ssh_client()),
        Verb::Ssh { command } => {
            let done = client::run_in_guest(&record.path, command.join(" "));
            return run.streamed(done);
        }
        Verb::Disk(verb) => return disk::perform(record, verb, as_json),
        Verb::Resume => run.resume(),
        Verb::Pause => run.pause(),
        Verb::Screenshot { output } => run.screenshot(output),
        Verb::Type { text, screen, enter } => run.type_text(text, screen, enter),
        Verb::Qmp { command, arguments } => run.qmp(command, arguments.unwrap_or(Value::Null)),
        Verb::Registers => run.registers(),
        Verb::MemoryDump { output, compressed } => run.memory_dump(output, compressed),
        Verb::Gdb => run.gdb(),
        Verb::Extend { duration } => run.extend(duration.as_secs()),
        Verb::Quit => run.quit(),
    };
    match done {
        Ok(done) if as_json => say::answer(printable_json(&done.json, true) + "\n"),
        Ok(done) => {
            let code = say::answer(done.said);
            advise(record, done.next);
            code
        }
        Err(error) => run.refuse(&error),
    }
}

/// Tells what to do next, unless the machine ends with this very command.
pub(super) fn advise(record: &RunRecord, next: &str) {
    if !next.is_empty() && record.info.controller.pid != std::process::id() {
        say::tell(format_args!("next: bootgate inspect {} {next}", record.info.id));
    }
}

/// True once a holder has ended. One that is this very process ends when it has said so.
fn is_gone(holder: ProcessIdentity, within: Duration) -> bool {
    if holder.pid == std::process::id() {
        return true;
    }
    match ProcessGrip::take(holder) {
        Ok(Some(grip)) => grip.wait_until_gone(within).unwrap_or(false),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Asks the holder of a run to end its machine. True if it takes it.
pub(in crate::cli) fn quit(run: &Path) -> bool {
    client::ask(run, &Request::Quit).is_ok()
}

/// A run that verbs are carried out on.
struct Target<'a> {
    record: &'a RunRecord,
}

impl Target<'_> {
    fn path(&self) -> &Path {
        &self.record.path
    }

    fn ask(&self, request: &Request) -> Result<Value, ClientError> {
        client::ask(self.path(), request)
    }

    fn status(&self) -> Option<HoldStatus> {
        serde_json::from_value(self.ask(&Request::Status).ok()?).ok()
    }

    fn show(&self, as_json: bool) -> ExitCode {
        let status = self.status();
        if as_json {
            let held = json!(status);
            return say::answer(printable_json(&show::page_json(self.record, &held), true) + "\n");
        }
        let held = match &status {
            Some(status) => format!(
                "held, {} (QEMU {}) until {}",
                terminal_line(&status.guest, LINE_CHARS_MAX),
                status.qemu_pid,
                terminal_line(&status.expires, LINE_CHARS_MAX)
            ),
            None => "not held".to_owned(),
        };
        let code = say::answer(show::page(self.record, &held));
        match status {
            Some(_) => advise(
                self.record,
                "console\n      or resume, ssh, screenshot, registers, memory-dump, gdb, disk, extend, quit in its place",
            ),
            None if self.record.path.join(CHECKPOINT).is_dir() => {
                say::tell(format_args!("next: bootgate reopen {}", self.record.info.id));
            }
            None => advise(self.record, "disk ls"),
        }
        code
    }

    fn resume(&self) -> Result<Done, ClientError> {
        let status = self.ask(&Request::Resume)?;
        Ok(Done {
            said: format!("The guest goes on; QEMU says: {}.\n", guest(&status)),
            json: status,
            next: "console",
        })
    }

    fn pause(&self) -> Result<Done, ClientError> {
        let status = self.ask(&Request::Pause)?;
        Ok(Done {
            said: format!("The guest stands still; QEMU says: {}.\n", guest(&status)),
            json: status,
            next: "registers",
        })
    }

    /// A new picture of a held machine; of any other the one that was taken at the failure.
    fn screenshot(&self, output: Option<PathBuf>) -> Result<Done, ClientError> {
        let path = match self.ask(&Request::Screenshot) {
            Ok(saved) => path_in(&saved)?,
            Err(ClientError::NotThere(error)) => {
                let evidence = show::evidence_of(self.record);
                show::newest(&evidence, "screen-", ".png").ok_or(ClientError::NotThere(error))?
            }
            Err(error) => return Err(error),
        };
        let path = copied(path, output)?;
        Ok(Done {
            said: format!("The screen is in {}\n", path.display()),
            json: json!({ "path": path }),
            next: "type --screen TEXT",
        })
    }

    fn type_text(&self, mut text: String, screen: bool, enter: bool) -> Result<Done, ClientError> {
        let into = if screen { TypeInto::Screen } else { TypeInto::Serial };
        if enter {
            text.push_str(if screen { "<ret>" } else { "\r" });
        }
        let sent = self.ask(&Request::Type { text, into })?;
        let (what, next) = match into {
            TypeInto::Serial => ("bytes went to the serial console", "console"),
            TypeInto::Screen => ("keys were pressed", "screenshot"),
        };
        Ok(Done {
            said: format!("{} {what}.\n", sent["sent"]),
            json: sent,
            next,
        })
    }

    fn qmp(&self, command: String, arguments: Value) -> Result<Done, ClientError> {
        let result = self.ask(&Request::Qmp { command, arguments })?;
        Ok(Done {
            said: printable_json(&result, true) + "\n",
            json: result,
            next: "",
        })
    }

    fn registers(&self) -> Result<Done, ClientError> {
        let line = "info registers -a".to_owned();
        let text = match self.ask(&Request::Monitor { line }) {
            Ok(text) => text.as_str().unwrap_or_default().to_owned(),
            Err(ClientError::NotThere(error)) => {
                let evidence = show::evidence_of(self.record);
                let file = show::newest(&evidence, "registers-", ".txt");
                match file.and_then(|file| std::fs::read(file).ok()) {
                    Some(text) => String::from_utf8_lossy(&text).into_owned(),
                    None => return Err(ClientError::NotThere(error)),
                }
            }
            Err(error) => return Err(error),
        };
        let said = lines(&text).iter().fold(String::new(), |said, line| {
            said + &terminal_line(line, LINE_CHARS_MAX) + "\n"
        });
        Ok(Done {
            said,
            json: json!({ "registers": json_text(&text) }),
            next: "gdb",
        })
    }

    fn memory_dump(&self, output: Option<PathBuf>, compressed: bool) -> Result<Done, ClientError> {
        let saved = self.ask(&Request::MemoryDump { compressed })?;
        let size_bytes = saved["size_bytes"].as_u64().unwrap_or_default();
        let path = copied(path_in(&saved)?, output)?;
        Ok(Done {
            said: format!(
                "The guest's memory is in {} ({}); it contains what the guest knew, secrets too.\nRead it with: {} vmlinux {}\n",
                path.display(),
                ByteSize(size_bytes),
                if compressed { "crash" } else { "gdb" },
                path.display()
            ),
            json: json!({ "path": path, "size_bytes": size_bytes }),
            next: "registers",
        })
    }

    fn gdb(&self) -> Result<Done, ClientError> {
        let opened = self.ask(&Request::Gdb)?;
        let address = terminal_line(opened["address"].as_str().unwrap_or_default(), LINE_CHARS_MAX);
        Ok(Done {
            said: format!("The gdbstub waits for one debugger: gdb -ex 'target remote {address}' vmlinux\n"),
            json: opened,
            next: "resume",
        })
    }

    fn extend(&self, seconds: u64) -> Result<Done, ClientError> {
        let status = self.ask(&Request::Extend { seconds })?;
        let expires = terminal_line(status["expires"].as_str().unwrap_or_default(), LINE_CHARS_MAX);
        Ok(Done {
            said: format!("The machine is kept until {expires}.\n"),
            json: status,
            next: "show",
        })
    }

    fn quit(&self) -> Result<Done, ClientError> {
        let holder = self.record.hold().map(|hold| hold.holder);
        self.ask(&Request::Quit)?;
        let gone = holder.is_none_or(|holder| is_gone(holder, ENDS_WITHIN));
        let said = if gone {
            "The machine is gone; its evidence stays."
        } else {
            "The machine is being ended, which takes its time; `bootgate ps` tells when it is gone."
        };
        Ok(Done {
            said: format!("{said}\n"),
            json: json!({ "ended": gone }),
            next: "show",
        })
    }

    /// The system's own client on the guest's port. Gives only errors: it takes the place of this process.
    fn ssh_client(&self) -> Result<u8, ClientError> {
        let access: GuestAccess = serde_json::from_value(self.ask(&Request::GuestAccess)?)
            .map_err(|error| ClientError::BrokeOff(error.to_string()))?;
        if let Some(key) = &access.host_key {
            say::tell(format_args!(
                "the host key that was seen: {}",
                terminal_line(key, LINE_CHARS_MAX)
            ));
        }
        let mut ssh = std::process::Command::new("ssh");
        ssh.args(["-p", &access.port.to_string()]);
        // The key of a machine that lives for minutes on a port of this host is nothing to remember.
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        if let Some(file) = &access.key_file {
            ssh.args(["-i", file]);
        }
        if let Some(user) = &access.user {
            ssh.args(["-l", user]);
        }
        let error = ssh.arg("--").arg(&access.host).exec();
        Err(ClientError::BrokeOff(format!(
            "the system's `ssh` can't be started ({error}); install it (`apt-get install openssh-client`), or run one command: \
             `ssh -- COMMAND`"
        )))
    }

    fn streamed(&self, ended: Result<u8, ClientError>) -> ExitCode {
        let _ = stdout().flush();
        match ended {
            Ok(status) => ExitCode::from(status),
            Err(error) => self.refuse(&error),
        }
    }

    /// What happened, what it means, and what to do.
    fn refuse(&self, error: &ClientError) -> ExitCode {
        let run = self.path().display();
        let (code, help): (u8, &dyn Display) = match error {
            ClientError::Refused(refusal) => (EXIT_REFUSED, &refusal.help),
            ClientError::BrokeOff(_) => (EXIT_REFUSED, &"`bootgate ps` shows what is held"),
            ClientError::NotThere(_) => (
                Verdict::EXIT_USAGE,
                &"`bootgate ps` lists what is held; a bundle is opened again with `bootgate reopen BUNDLE`; a run holds its \
                  machine with `bootgate run GATE --hold 2h`",
            ),
        };
        say::tell(format_args!(
            "error: {}\n  run: {run}\n  help: {}",
            terminal_line(error.to_string(), LINE_CHARS_MAX),
            terminal_line(help.to_string(), LINE_CHARS_MAX)
        ));
        ExitCode::from(code)
    }
}

fn guest(status: &Value) -> String {
    terminal_line(status["guest"].as_str().unwrap_or("nothing"), LINE_CHARS_MAX)
}

fn path_in(answer: &Value) -> Result<PathBuf, ClientError> {
    let path = answer["path"].as_str().map(PathBuf::from);
    path.ok_or_else(|| ClientError::BrokeOff("it named no file".to_owned()))
}

/// Copies a file that was made in the run's directory to where the person wants it.
fn copied(path: PathBuf, output: Option<PathBuf>) -> Result<PathBuf, ClientError> {
    let Some(output) = output else { return Ok(path) };
    match std::fs::copy(&path, &output) {
        Ok(_) => Ok(output),
        Err(error) => Err(ClientError::BrokeOff(format!(
            "it is in {}, but can't be copied to {}: {error}",
            path.display(),
            output.display()
        ))),
    }
}
