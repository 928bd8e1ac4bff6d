//! What a person can do with a machine: the same for one that is held and one that was opened again from a bundle.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use crate::units::parse_span;

/// A verb.
#[derive(Debug, Clone, Subcommand)]
pub(in crate::cli) enum Verb {
    /// Show the cause, the screen, the console's end and the timeline.
    Show,
    /// Let the guest go on.
    Resume,
    /// Stop the guest again.
    Pause,
    /// Attach to the serial console; Ctrl-] detaches.
    ///
    /// In a script, with pipes instead of a terminal, bytes pass as they are. It goes on after the end of standard input,
    /// until the console ends, nobody reads its output, or a signal comes: `timeout 10s bootgate inspect last console <keys`.
    Console,
    /// Log in to the guest, or run one command in it with the gate's own login.
    Ssh {
        /// The command; without one, the system's `ssh` is started.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Save the screen as PNG.
    Screenshot {
        /// Copy it to this file.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Type text on the serial console, or with --screen on the machine's keyboard.
    Type {
        /// The text. On the keyboard, keys stand in angle brackets: `<ret>`, `<tab>`, `<f1>`, `<ctrl-alt-del>`.
        text: String,
        /// Press keys instead: for what asks on the screen.
        #[arg(long)]
        screen: bool,
        /// Press Enter at the end.
        #[arg(long, short)]
        enter: bool,
    },
    /// Give a QMP command and print its result.
    Qmp {
        /// The command, such as query-block.
        command: String,
        /// Its arguments as a JSON object.
        #[arg(value_parser = json_object)]
        arguments: Option<serde_json::Value>,
    },
    /// Print the registers of every vCPU.
    Registers,
    /// Save the guest's memory for `gdb`, or with --compressed for `crash`.
    MemoryDump {
        /// Copy it to this file.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Compressed (kdump): smaller, for `crash` only.
        #[arg(long)]
        compressed: bool,
    },
    /// Open QEMU's gdbstub on a loopback port.
    Gdb,
    /// Look into the machine's disks without the guest: read-only.
    #[command(subcommand)]
    Disk(DiskVerb),
    /// Keep the machine for this long from now on.
    Extend {
        /// How long: 90m, 2h.
        #[arg(value_parser = |text: &str| parse_span(text).map_err(|error| error.to_string()))]
        duration: Duration,
    },
    /// End the machine.
    Quit,
}

/// A verb for disks. A path names the volume where more than one has it: `2:/etc/fstab`.
#[derive(Debug, Clone, Subcommand)]
pub(in crate::cli) enum DiskVerb {
    /// List the disks and volumes, or a directory.
    Ls {
        /// The directory.
        path: Option<String>,
        /// The disk, if the machine has several.
        #[arg(long)]
        disk: Option<String>,
    },
    /// Print a file.
    Cat {
        /// The file.
        path: String,
        /// The disk, if the machine has several.
        #[arg(long)]
        disk: Option<String>,
    },
    /// Copy a file or directory out of the disk.
    Export {
        /// The file or directory.
        path: String,
        /// Where to: a directory that does not exist yet.
        into: PathBuf,
        /// The disk, if the machine has several.
        #[arg(long)]
        disk: Option<String>,
    },
}

fn json_object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("the arguments of a QMP command are a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
