//! A helper process that ends soon: QEMU asked about itself, the accelerator probe, `qemu-img`.
//!
//! Such a process never outlives bootgate: its parent-death signal is KILL, and because that signal follows the
//! spawning *thread*, the process is spawned and awaited on a thread of its own. Nor does it outlive its caller: it is
//! killed when nobody waits for it any more.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

/// Bytes kept of a helper's standard error.
const STDERR_BYTES_MAX: usize = 64 * 1024;

/// Environment that a helper sees: what a binary outside the system's directories needs, and nothing that a CI job
/// keeps secret.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "QEMU_MODULE_DIR"];

/// How a helper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Killed: its output showed what was waited for.
    SeenEnough,
    /// Killed: the deadline passed.
    Deadline,
    /// Killed: it printed more than its bound.
    TooMuchOutput,
    /// Killed: its caller was cancelled.
    GivenUp,
}

/// How many helpers there are now.
static HELPERS: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Waits until this process has no helper, after those who waited for one were cancelled.
pub async fn helpers_gone() {
    let mut helpers = HELPERS.subscribe();
    // The sender is never dropped.
    let _ = helpers.wait_for(|&count| count == 0).await;
}

/// Counts a helper for as long as it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        HELPERS.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        HELPERS.send_modify(|count| *count -= 1);
    }
}

/// What is left of a helper.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) ended: Ended,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) took: Duration,
}

impl Finished {
    /// True if it ended by itself with status 0.
    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.ended, Ended::Exited(status) if status.success())
    }

    /// How it ended, as a clause: `exited with status 1`.
    pub(crate) fn how(&self) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        match self.ended {
            Ended::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exited with status {code}"),
                (None, Some(signal)) => Signal::try_from(signal).map_or_else(
                    |_| format!("was killed by signal {signal}"),
                    |name| format!("was killed by {name}"),
                ),
                (None, None) => "ended".to_owned(),
            },
            Ended::SeenEnough | Ended::GivenUp => "was ended".to_owned(),
            Ended::Deadline => format!("did not end within {}", crate::units::human_span(self.took)),
            Ended::TooMuchOutput => "printed without end".to_owned(),
        }
    }

    /// The first line of its standard error, without control characters and without the program's name, or nothing.
    pub(crate) fn complaint(&self) -> String {
        const COMPLAINT_CHARS_MAX: usize = 300;
        let text = String::from_utf8_lossy(&self.stderr);
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines()
            .find(|line| !line.contains("warning:"))
            .or_else(|| lines().next())
            .unwrap_or_default();
        let clean: String = line.chars().filter(|c| !c.is_control()).collect();
        let said = clean.split_once(": ").map_or(
            clean.as_str(),
            |(program, rest)| {
                if program.contains(' ') { &clean } else { rest }
            },
        );
        said.chars().take(COMPLAINT_CHARS_MAX).collect()
    }
}

/// What a helper may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    pub(crate) stdout_bytes_max: usize,
}

/// Says, given the standard output so far, whether that is enough.
pub(super) type Enough = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Runs a helper to its end.
pub(crate) async fn run(command: Command, limits: Limits) -> io::Result<Finished> {
    run_until(command, limits, Arc::new(|_| false)).await
}

/// Runs a helper until it ends or has printed enough, whichever comes first.
pub(super) async fn run_until(command: Command, limits: Limits, enough: Enough) -> io::Result<Finished> {
    let (mut sender, receiver) = oneshot::channel();
    let counted = Counted::new();
    thread::Builder::new().name("qemu-helper".to_owned()).spawn(move || {
        let _counted = counted;
        let result = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(supervise(command, limits, &enough, sender.closed())));
        // Nobody may wait any more; the process is gone all the same.
        let _ = sender.send(result);
    })?;
    receiver
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the helper's thread ended without a result")))
}

async fn supervise(
    mut command: Command,
    limits: Limits,
    enough: &Enough,
    given_up: impl Future<Output = ()>,
) -> io::Result<Finished> {
    let started = Instant::now();
    confine(&mut command);
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the helper has no output pipes"));
    };
    let mut output = Vec::new();
    let mut errors = Vec::new();
    let until_exit = async {
        let reading = read_output(stdout, &mut output, limits.stdout_bytes_max, enough);
        tokio::try_join!(reading, async {
            drain(stderr, &mut errors).await;
            Ok(())
        })?;
        Ok(child.wait().await?)
    };
    let outcome = tokio::select! {
        outcome = timeout_at(started + limits.deadline, until_exit) => outcome,
        () = given_up => Ok(Err(Stop::Because(Ended::GivenUp))),
    };
    let ended = match outcome {
        Ok(Ok(status)) => Ended::Exited(status),
        Ok(Err(Stop::Because(ended))) => ended,
        Ok(Err(Stop::Failed(error))) => return Err(error),
        Err(_elapsed) => Ended::Deadline,
    };
    if !matches!(ended, Ended::Exited(_)) {
        child.kill().await?;
    }
    Ok(Finished {
        ended,
        stdout: output,
        stderr: errors,
        took: started.elapsed(),
    })
}

/// Why reading stops before the end.
enum Stop {
    Because(Ended),
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads to the end, unless there is a reason to stop before.
async fn read_output(
    mut from: impl AsyncRead + Unpin,
    into: &mut Vec<u8>,
    bytes_max: usize,
    enough: &Enough,
) -> Result<(), Stop> {
    while from.read_buf(into).await? > 0 {
        if enough(into) {
            return Err(Stop::Because(Ended::SeenEnough));
        }
        if into.len() > bytes_max {
            return Err(Stop::Because(Ended::TooMuchOutput));
        }
    }
    Ok(())
}

/// Reads to the end and keeps the head: a helper must not stall on a full pipe.
async fn drain(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let room = STDERR_BYTES_MAX - into.len();
        into.extend_from_slice(&chunk[..count.min(room)]);
    }
}

/// Gives the command pipes, an own process group, a small environment, and death with its parent.
fn confine(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env_clear().env("LC_ALL", "C").process_group(0);
    command.envs(
        ENVIRONMENT
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    let parent = getpid();
    let die_with_parent = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the signal was asked for.
        if getppid() == parent {
            Ok(())
        } else {
            Err(io::Error::other("the parent is gone"))
        }
    };
    #[allow(
        unsafe_code,
        reason = "there is no safe way to ask for a parent-death signal between fork and exec"
    )]
    // SAFETY: the closure makes two async-signal-safe system calls and allocates only to report that it failed.
    unsafe {
        command.pre_exec(die_with_parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        deadline: Duration::from_secs(20),
        stdout_bytes_max: 1024,
    };

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn output_and_status_are_kept() {
        let done = run(sh("echo out; echo 'tool: bad thing' >&2; exit 3"), LIMITS)
            .await
            .unwrap();
        assert_eq!(done.stdout, b"out\n");
        assert_eq!(done.complaint(), "bad thing");
        assert_eq!(done.how(), "exited with status 3");
        let done = run(sh("kill -ABRT $$"), LIMITS).await.unwrap();
        assert_eq!(done.how(), "was killed by SIGABRT");
    }

    #[tokio::test]
    async fn a_hanging_helper_is_killed_at_its_deadline() {
        let limits = Limits {
            deadline: Duration::from_millis(200),
            ..LIMITS
        };
        let done = run(sh("echo began; exec sleep 60"), limits).await.unwrap();
        assert_eq!((done.ended, &*done.stdout), (Ended::Deadline, &b"began\n"[..]));
        assert!(done.took < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_helper_ends_once_it_has_shown_enough() {
        let enough: Enough = Arc::new(|seen| seen.ends_with(b"ready\n"));
        let done = run_until(sh("echo ready; exec sleep 60"), LIMITS, enough)
            .await
            .unwrap();
        assert_eq!(done.ended, Ended::SeenEnough);
    }

    #[tokio::test]
    async fn a_helper_is_gone_when_its_caller_is() {
        use std::io::Read as _;
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let helper = tokio::spawn(run(sh(&format!("exec >'{}'; exec sleep 60", fifo.display())), LIMITS));
        let opened = tokio::task::spawn_blocking(move || std::fs::File::open(fifo));
        let mut output = opened.await.unwrap().unwrap();
        helper.abort();
        assert!(helper.await.unwrap_err().is_cancelled());
        let started = Instant::now();
        // The end of the FIFO is the end of the helper, which alone has it open.
        assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(started.elapsed() < Duration::from_secs(10));
        helpers_gone().await;
    }

    #[tokio::test]
    async fn endless_output_is_bounded() {
        let done = run(sh("exec yes"), LIMITS).await.unwrap();
        assert_eq!(done.ended, Ended::TooMuchOutput);
        assert!(done.stdout.len() < 64 * 1024);
        let done = run(sh("exec >&2; head -c 1000000 /dev/zero"), LIMITS).await.unwrap();
        assert!(done.succeeded() && done.stderr.len() == STDERR_BYTES_MAX);
    }

    #[tokio::test]
    async fn the_environment_is_small() {
        let done = run(sh("env"), LIMITS).await.unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(text.contains("LC_ALL=C") && !text.contains("CARGO"), "{text}");
    }

    /// Set in the process that plays bootgate: the FIFO that its helper holds open for as long as it lives.
    const FIFO_VARIABLE: &str = "BOOTGATE_TEST_HELPER_FIFO";

    #[tokio::test]
    async fn run_a_helper_for_the_next_test() {
        if let Ok(fifo) = std::env::var(FIFO_VARIABLE) {
            let script = format!("exec >'{fifo}'; echo up; exec sleep 60");
            run(sh(&script), LIMITS).await.unwrap();
        }
    }

    #[test]
    fn a_helper_dies_with_its_parent() {
        use std::io::{BufRead as _, BufReader, Read as _};
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "qemu::child::tests::run_a_helper_for_the_next_test"])
            .env(FIFO_VARIABLE, &fifo)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(std::fs::File::open(&fifo).unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        let killed = std::time::Instant::now();
        parent.kill().unwrap();
        parent.wait().unwrap();
        // The end of the FIFO is the end of the helper, which alone has it open.
        assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(killed.elapsed() < Duration::from_secs(10));
    }
}
