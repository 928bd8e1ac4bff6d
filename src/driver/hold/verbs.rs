//! The requests that are answered with one value.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;

use crate::control::{GuestAccess, HoldStatus, Refusal, Request, TypeInto};
use crate::qmp::QmpError;

use super::machine::HeldMachine;
use super::server::HoldAsk;

/// How long QEMU may take for what changes or tells a flag.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// How long QEMU may take to write the guest's memory to a file.
const DUMP_WITHIN: Duration = Duration::from_secs(600);
/// QEMU's own end of the gdbstub.
const GDB_SOCKET: &str = "gdb.sock";

/// Carries out a request.
pub(super) async fn perform(
    machine: &HeldMachine,
    asks: &mpsc::Sender<HoldAsk>,
    request: Request,
) -> Result<Value, Refusal> {
    let qmp = &machine.qmp;
    match request {
        Request::Status => status(machine).await,
        Request::Resume => {
            qmp.cont(COMMAND_WITHIN).await.map_err(refused)?;
            status(machine).await
        }
        Request::Pause => {
            qmp.stop(COMMAND_WITHIN).await.map_err(refused)?;
            status(machine).await
        }
        Request::Quit => ask(asks, HoldAsk::Release).await,
        Request::Extend { seconds } => {
            ask(asks, HoldAsk::Extend(Duration::from_secs(seconds))).await?;
            status(machine).await
        }
        Request::Qmp { command, arguments } => {
            let result = qmp.execute_raw(&command, arguments, COMMAND_WITHIN).await;
            result.map_err(refused)
        }
        Request::Monitor { line } => {
            let text = qmp.human(&line, COMMAND_WITHIN).await.map_err(refused)?;
            Ok(text.into())
        }
        Request::Screenshot => screenshot(machine).await,
        Request::Type { text, into } => type_text(machine, &text, into).await,
        Request::GuestAccess => guest_access(machine),
        Request::MemoryDump { compressed } => memory_dump(machine, compressed).await,
        Request::Gdb => gdb(machine).await,
        Request::Console | Request::Ssh { .. } => Err(Refusal {
            problem: "this request is answered with a stream".to_owned(),
            help: "this is a defect of bootgate; please report it".to_owned(),
        }),
    }
}

async fn ask(asks: &mpsc::Sender<HoldAsk>, asked: HoldAsk) -> Result<Value, Refusal> {
    asks.send(asked).await.map(|()| Value::Null).map_err(|_| Refusal {
        problem: "the machine is being ended already".to_owned(),
        help: "`bootgate ps` shows what is still held".to_owned(),
    })
}

async fn status(machine: &HeldMachine) -> Result<Value, Refusal> {
    let state = machine.qmp.query_status(COMMAND_WITHIN).await.map_err(refused)?;
    let status = HoldStatus {
        guest: crate::driver::translate::guest_status(state).as_str().to_owned(),
        expires: machine.expires.get().to_string(),
        holder_pid: std::process::id(),
        qemu_pid: machine.qemu.pid,
    };
    json_of(&status)
}

async fn screenshot(machine: &HeldMachine) -> Result<Value, Refusal> {
    let name = format!("screenshot-{}.png", machine.files.next());
    let path = machine.directory.join(name);
    let saved = crate::driver::capture::screen(&machine.qmp, &path).await;
    saved.map_err(|why| Refusal {
        problem: format!("the screen can't be saved: {why}"),
        help: "`console` shows the serial console".to_owned(),
    })?;
    Ok(json!({ "path": path }))
}

async fn type_text(machine: &HeldMachine, text: &str, into: TypeInto) -> Result<Value, Refusal> {
    match into {
        TypeInto::Serial => {
            machine.console.send(text).map_err(|error| Refusal {
                problem: error.to_string(),
                help: "a paused guest reads nothing: `resume` it first".to_owned(),
            })?;
            Ok(json!({ "sent": text.len() }))
        }
        TypeInto::Screen => {
            let keys = crate::driver::keys::press(&machine.qmp, text).await?;
            Ok(json!({ "sent": keys }))
        }
    }
}

fn guest_access(machine: &HeldMachine) -> Result<Value, Refusal> {
    let Some(address) = machine.ssh_address else {
        return Err(Refusal {
            problem: "the machine has no forward to an SSH server".to_owned(),
            help: "the gate has no [ssh] section; attach with `console`".to_owned(),
        });
    };
    json_of(&GuestAccess {
        host: address.ip().to_string(),
        port: address.port(),
        user: machine.user.clone(),
        host_key: machine.pin.key().map(ToString::to_string),
        key_file: machine.key_file.as_ref().map(|path| path.display().to_string()),
    })
}

async fn memory_dump(machine: &HeldMachine, compressed: bool) -> Result<Value, Refusal> {
    let (suffix, format) = if compressed {
        ("kdump", "kdump-zlib")
    } else {
        ("elf", "elf")
    };
    let path = machine
        .directory
        .join(format!("memory-{}.{suffix}", machine.files.next()));
    // QEMU creates the file with its umask; made beforehand, it is nobody else's from its first byte.
    private_file(&path).map_err(|error| Refusal {
        problem: format!("{} can't be made: {error}", path.display()),
        help: "free space where the runs are kept".to_owned(),
    })?;
    let arguments = json!({
        "paging": false,
        "protocol": format!("file:{}", path.display()),
        "format": format,
    });
    let dumped = machine
        .qmp
        .execute_raw("dump-guest-memory", arguments, DUMP_WITHIN)
        .await;
    if let Err(error) = dumped {
        let _ = std::fs::remove_file(&path);
        return Err(refused(error));
    }
    let size_bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    Ok(json!({ "path": path, "size_bytes": size_bytes }))
}

/// QEMU's gdbstub listens on a socket in the private directory, and we on a port of the loopback interface that the kernel
/// chooses: QEMU itself can't tell which port it was given.
async fn gdb(machine: &HeldMachine) -> Result<Value, Refusal> {
    let io_refused = |error: std::io::Error| Refusal {
        problem: format!("the gdbstub can't be reached: {error}"),
        help: "look at the end of qmp.jsonl in the run directory".to_owned(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io_refused)?;
    let address = listener.local_addr().map_err(io_refused)?;
    let socket = machine.directory.join(GDB_SOCKET);
    if !socket.exists() {
        // QEMU works in the run directory, so the name alone is enough and never too long.
        let line = format!("gdbserver unix:{GDB_SOCKET},server=on,wait=off");
        let said = machine.qmp.human(&line, COMMAND_WITHIN).await.map_err(refused)?;
        if !socket.exists() {
            return Err(Refusal {
                problem: format!("QEMU did not open its gdbstub: {}", said.trim()),
                help: "`qmp` and `registers` show the machine without it".to_owned(),
            });
        }
    }
    tokio::spawn(relay_gdb(listener, socket));
    Ok(json!({ "address": address.to_string() }))
}

/// Joins one debugger with the gdbstub, which serves one at a time.
async fn relay_gdb(listener: TcpListener, socket: PathBuf) {
    let Ok((mut debugger, _)) = listener.accept().await else {
        return;
    };
    drop(listener);
    let Some(directory) = socket.parent() else { return };
    let stub = match std::fs::File::open(directory) {
        Ok(directory) => {
            use std::os::fd::AsRawFd as _;
            let short = format!("/proc/self/fd/{}/{GDB_SOCKET}", directory.as_raw_fd());
            UnixStream::connect(short).await
        }
        Err(error) => Err(error),
    };
    match stub {
        Ok(mut stub) => {
            let _ = tokio::io::copy_bidirectional(&mut debugger, &mut stub).await;
        }
        Err(error) => tracing::warn!(%error, "the gdbstub can't be reached"),
    }
}

fn private_file(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path).map(drop)
}

fn json_of(value: &impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| Refusal {
        problem: error.to_string(),
        help: "this is a defect of bootgate; please report it".to_owned(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
fn refused(error: QmpError) -> Refusal {
    let help = match error {
        QmpError::Refused { .. } => "QEMU's own words say what it does not like",
        _ => "`bootgate ps` shows whether the machine is still there",
    };
    Refusal {
        problem: error.to_string(),
        help: help.to_owned(),
    }
}
