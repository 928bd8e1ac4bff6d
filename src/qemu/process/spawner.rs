//! The one thread that starts children.

use super::exit::ExitReport;
use super::inherited::InheritedFd;
use super::running::{Origin, Running};
use crate::procfs;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{Pid, getppid};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// What a child gets from our environment. All else stays here, above all the tokens that a CI job has in it. `LC_ALL=C`
/// is added, so that messages come in one language.
pub const PASSED_ENVIRONMENT: [&str; 4] = ["HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR"];

/// How much more ready than us the kernel should be to kill a child for lack of memory (proc(5), `oom_score_adj`, 1000 at
/// most): the guest goes first, and we live to tell.
const OOM_SCORE_ADJ_ABOVE_OURS: i32 = 300;

/// A child to start.
#[derive(Debug)]
pub struct SpawnRequest {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments, without the program.
    pub arguments: Vec<OsString>,
    /// The file descriptors it gets besides the first three. They are closed on our side once it has started.
    pub inherited: Vec<InheritedFd>,
    /// The file to which its standard output and standard error are appended. Standard input is empty.
    pub stderr: PathBuf,
    /// The directory it works in: the run directory.
    pub directory: PathBuf,
}

/// Why a child could not be started. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The directory to work in can't be used.
    #[error("cannot use the run directory `{}`: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The file for standard error can't be written.
    #[error("cannot write the program's messages to `{}`: {source}", path.display())]
    Stderr {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The program can't be started.
    #[error("cannot start `{}`: {source}; `bootgate doctor` says what is missing", program.display())]
    Program {
        /// The program as it was asked for.
        program: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The program was started but can't be watched, so it was killed.
    #[error("`{}` was started but cannot be watched, so it was killed: {source}", program.display())]
    Watch {
        /// The program as it was asked for.
        program: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The spawner thread could not be started.
    #[error("the thread that starts programs is not there; the host may be out of threads (`ulimit -u`)")]
    NoSpawner,
}

type Reply = oneshot::Sender<Result<Running, SpawnError>>;
type Exited = watch::Receiver<Option<Arc<ExitReport>>>;

/// What the thread is asked.
#[derive(Debug)]
enum Asked {
    Start(Box<SpawnRequest>, Reply),
    /// The children that may still be there.
    Children(oneshot::Sender<Vec<Exited>>),
}

/// The thread that starts all children. PDEATHSIG follows the thread that started a child and not its process, so a
/// child started by a pool thread would be killed as soon as the pool lets that thread go. This one never ends.
#[derive(Debug)]
pub struct Spawner {
    requests: mpsc::Sender<Asked>,
}

impl Spawner {
    /// The one spawner of this process, started at first use.
    pub fn global() -> &'static Self {
        static SPAWNER: OnceLock<Spawner> = OnceLock::new();
        SPAWNER.get_or_init(|| {
            let (requests, queue) = mpsc::channel();
            let work = move || {
                let _ = reap_our_own_children();
                work_off(&queue);
            };
            // Without a thread the queue is gone, which `spawn` reports.
            let _ = std::thread::Builder::new().name("spawner".to_owned()).spawn(work);
            Self { requests }
        })
    }

    /// Starts a child in its own process group; it is killed by the kernel if this process dies. If the caller goes away
    /// before this returns, the child is killed.
    pub async fn spawn(&self, request: SpawnRequest) -> Result<Running, SpawnError> {
        let (reply, started) = oneshot::channel();
        self.requests
            .send(Asked::Start(Box::new(request), reply))
            .map_err(|_| SpawnError::NoSpawner)?;
        started.await.map_err(|_| SpawnError::NoSpawner)?
    }

    /// Waits until every child has ended, also one that is being started now. Ends none: to be called after those who
    /// own them have let go of them.
    pub async fn children_gone(&self) {
        let (reply, children) = oneshot::channel();
        if self.requests.send(Asked::Children(reply)).is_err() {
            return;
        }
        for mut exited in children.await.unwrap_or_default() {
            // Without a sender nobody watches it any more.
            let _ = exited.wait_for(Option::is_some).await;
        }
    }
}

fn work_off(queue: &mpsc::Receiver<Asked>) {
    let mut children: Vec<Exited> = Vec::new();
    for asked in queue {
        children.retain(|exited| exited.borrow().is_none());
        match asked {
            Asked::Start(request, reply) => {
                let started = start(*request);
                children.extend(started.as_ref().ok().map(Running::exited));
                // A caller that has gone away gets the child dropped, which kills it.
                let _ = reply.send(started);
            }
            Asked::Children(reply) => {
                let _ = reply.send(children.clone());
            }
        }
    }
}

fn start(request: SpawnRequest) -> Result<Running, SpawnError> {
    let SpawnRequest {
        program,
        arguments,
        inherited,
        stderr,
        directory,
    } = request;
    if let Err(source) = std::fs::read_dir(&directory) {
        return Err(SpawnError::Directory {
            path: directory,
            source,
        });
    }
    let (messages, stderr_start_bytes) = match open_messages(&stderr) {
        Ok(opened) => opened,
        Err(source) => return Err(SpawnError::Stderr { path: stderr, source }),
    };
    let numbers = inherited.iter().map(InheritedFd::number).collect();
    let origin = Origin {
        started: Instant::now(),
        stderr,
        stderr_start_bytes,
    };
    let child = command(&program, &arguments, &directory, messages, numbers).and_then(|mut command| command.spawn());
    let child = match child {
        Ok(child) => child,
        Err(source) => return Err(SpawnError::Program { program, source }),
    };
    // The child has its own copies; ours would keep a dead child's sockets open.
    drop(inherited);
    let _ = prefer_for_oom_kill(child.id());
    Running::adopt(child.id(), origin).map_err(|source| SpawnError::Watch { program, source })
}

fn open_messages(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let start_bytes = file.metadata()?.len();
    Ok((file, start_bytes))
}

#[expect(
    unsafe_code,
    reason = "`pre_exec` is the only place where a child can be set up before its program runs"
)]
fn command(
    program: &Path,
    arguments: &[OsString],
    directory: &Path,
    messages: File,
    inherited: Vec<RawFd>,
) -> io::Result<Command> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).process_group(0);
    command.env_clear().env("LC_ALL", "C");
    command.envs(
        PASSED_ENVIRONMENT
            .iter()
            .filter_map(|&name| Some((name, std::env::var_os(name)?))),
    );
    command
        .stdin(Stdio::null())
        .stdout(messages.try_clone()?)
        .stderr(messages);
    let parent = Pid::this();
    // SAFETY: between fork and exec `set_up` makes system calls only. It takes no lock and allocates nothing, so it can't
    // meet a lock that another thread held at the time of the fork.
    unsafe { command.pre_exec(move || set_up(parent, &inherited)) };
    Ok(command)
}

/// Runs in the child before its program does.
fn set_up(parent: Pid, inherited: &[RawFd]) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        // The parent died before the line above: nobody is left to send the death signal.
        return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
    }
    // A core dump of QEMU holds the guest's memory with all that is secret in it.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    reset_signals()?;
    pass_only(inherited)
}

/// Ignored signals stay ignored across exec, and a shell starts background jobs with SIGINT ignored. The standard library
/// has emptied the signal mask already.
#[expect(unsafe_code, reason = "changing a signal's handler is unsafe in general")]
fn reset_signals() -> io::Result<()> {
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            // SAFETY: the default disposition runs no code of ours.
            unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
        }
    }
    Ok(())
}

/// Makes everything above standard error close-on-exec, also what we got from our own parent without knowing it, and
/// then opens the way for what the child is to have.
#[expect(
    unsafe_code,
    reason = "close_range has no safe wrapper, and the descriptors are known by number only"
)]
fn pass_only(inherited: &[RawFd]) -> io::Result<()> {
    let (first, last) = (3 as nix::libc::c_uint, nix::libc::c_uint::MAX);
    // SAFETY: the call takes three numbers and changes a flag of descriptors of this process, which runs no other thread
    // after the fork. Kernels before 5.11 refuse it: then only what was opened outside of Rust's rules gets through.
    unsafe { nix::libc::syscall(nix::libc::SYS_close_range, first, last, nix::libc::CLOSE_RANGE_CLOEXEC) };
    for &number in inherited {
        // SAFETY: the request owns the descriptor until the child has started, and fork has copied it.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

fn prefer_for_oom_kill(pid: u32) -> io::Result<()> {
    let ours: i32 = std::fs::read_to_string("/proc/self/oom_score_adj")?
        .trim()
        .parse()
        .unwrap_or(0);
    let childs = (ours + OOM_SCORE_ADJ_ABOVE_OURS).min(1000);
    std::fs::write(format!("/proc/{pid}/oom_score_adj"), childs.to_string())
}

/// If we were started with SIGCHLD ignored, the kernel reaps our children itself, their numbers are free at once and
/// their exit status is lost.
#[expect(unsafe_code, reason = "changing a signal's handler is unsafe in general")]
fn reap_our_own_children() -> io::Result<()> {
    if procfs::is_ignored(rustix::process::Signal::CHILD)? {
        // SAFETY: the default disposition runs no code of ours, and no handler was there to be replaced.
        unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    }
    Ok(())
}
