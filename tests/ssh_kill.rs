//! Ending a command: the guest's scripts by themselves, in the shells that guests have.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

const START: &str = include_str!("../src/ssh/guest/start.sh");
const RUN: &str = include_str!("../src/ssh/guest/run.sh");
const KILL: &str = include_str!("../src/ssh/guest/kill.sh");
/// Longer than a test may take: what waits for it fails.
const GRACE_S: &str = "600";
const SHELLS: [&str; 3] = ["dash", "bash", "busybox"];

/// A guest's programs, and a command's files.
struct Guest {
    folder: tempfile::TempDir,
    search: String,
}

impl Guest {
    /// With this shell as its `sh`; with busybox, every program is busybox.
    fn new(shell: &str) -> Self {
        let search = std::env::var("PATH").unwrap();
        let found = std::env::split_paths(&search).map(|place| place.join(shell));
        let found = found.into_iter().find(|path| path.exists());
        let found = found.unwrap_or_else(|| panic!("{shell} is missing; install it with: apt-get install {shell}"));
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        let guest = Self {
            search: if shell == "busybox" {
                programs.display().to_string()
            } else {
                format!("{}:{search}", programs.display())
            },
            folder,
        };
        if shell == "busybox" {
            let installed = Command::new(found).args(["--install", "-s"]).arg(&programs).status();
            assert!(installed.unwrap().success());
        } else {
            symlink(found, programs.join("sh")).unwrap();
        }
        guest
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("programs").join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A script with arguments, as a server starts it.
    fn script<S: AsRef<std::ffi::OsStr>>(&self, script: &str, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.path("programs").join("sh"));
        command.args(["-c", script, "bootgate"]).args(arguments);
        command.env("PATH", &self.search).stdin(Stdio::null()).process_group(0);
        command.stdout(Stdio::piped());
        command
    }

    fn kill(&self, directory: &Path) -> Child {
        let arguments = [directory.to_str().unwrap(), GRACE_S];
        self.script(KILL, arguments).spawn().unwrap()
    }

    /// A command that was prepared and does not run yet, and the end of it, which is open.
    fn prepared(&self) -> File {
        let write = |name: &str, text: String| fs::write(self.path(name), text).unwrap();
        write("command", format!(": >{}", self.path("ran").display()));
        write("status", format!("{:<47}\n", "running"));
        write("pid", format!("{:<15}\n", 0));
        write("output", String::new());
        write("go", String::new());
        let end = self.path("end");
        mkfifo(&end, Mode::S_IRWXU).unwrap();
        OpenOptions::new().read(true).write(true).open(end).unwrap()
    }

    /// Runs it, with the end handed over as the start hands it over.
    fn run(&self, end: File) {
        let hand_over = format!("exec 9<>\"$1/end\"\n{RUN}");
        let mut runner = self.script(&hand_over, [self.folder.path()]);
        // As behind the start: bash says there that its child was ended.
        let mut runner = runner.stderr(Stdio::null()).spawn().unwrap();
        // The runner has its own by the time it ends, and until then the end must not come.
        runner.wait().unwrap();
        drop(end);
    }
}

fn status(directory: &Path) -> String {
    fs::read_to_string(directory.join("status")).unwrap().trim().to_owned()
}

#[track_caller]
fn says_ended(kill: Child) {
    let output = kill.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "bootgate-kill ended\n",
        "{output:?}"
    );
}

/// The kill came first: the command is not begun.
#[test]
fn a_command_that_finds_itself_killed_does_not_begin() {
    for shell in SHELLS {
        let guest = Guest::new(shell);
        let end = guest.prepared();
        fs::remove_file(guest.path("go")).unwrap();
        guest.run(end);
        assert_eq!(status(guest.folder.path()), "exited 143 0", "{shell}");
        assert!(!guest.path("ran").exists(), "{shell}");
    }
}

/// The kill has looked for the command's number before there was one.
#[test]
fn a_kill_that_finds_no_number_waits_for_the_end() {
    for shell in SHELLS {
        let guest = Guest::new(shell);
        let end = guest.prepared();
        let looked = guest.path("looked");
        mkfifo(&looked, Mode::S_IRWXU).unwrap();
        let tell = format!("case $1 in */pid) : >{} ;; esac", looked.display());
        guest.program("cat", &format!("/bin/cat \"$@\"\n{tell}"));
        let kill = guest.kill(guest.folder.path());
        // Opening it lasts until the other side opens it.
        drop(File::open(&looked).unwrap());
        guest.program("cat", "exec /bin/cat \"$@\"");
        guest.run(end);
        says_ended(kill);
        assert_eq!(status(guest.folder.path()), "exited 143 0", "{shell}");
        assert!(!guest.path("ran").exists(), "{shell}");
    }
}

/// At once after the start, which is any moment of the command's beginning.
#[test]
fn a_command_that_is_just_starting_is_ended() {
    for shell in SHELLS {
        for round in 0..8 {
            let guest = Guest::new(shell);
            let command = "sleep 3600; exit 0";
            let (size, stage) = (command.len().to_string(), format!("stage-{round}"));
            let base = guest.folder.path().to_str().unwrap();
            let arguments = ["name", &stage, "ticket", &size, RUN, base];
            let mut start = guest.script(START, arguments).stdin(Stdio::piped()).spawn().unwrap();
            start.stdin.take().unwrap().write_all(command.as_bytes()).unwrap();
            let mut said = String::new();
            let mut answer = BufReader::new(start.stdout.take().unwrap());
            answer.read_line(&mut said).unwrap();
            assert!(said.starts_with("bootgate-start started "), "{shell}: {said}");
            let directory = guest.path("name").join(stage);
            says_ended(guest.kill(&directory));
            start.wait().unwrap();
            assert_eq!(status(&directory), "exited 143 0", "{shell}");
        }
    }
}

/// What sudo has started is root's, and the user who logged in can't signal it.
#[test]
fn who_is_not_root_ends_it_by_sudo_as_well() {
    let guest = Guest::new("dash");
    let log = guest.path("sudo.log");
    guest.program("id", "echo 1000");
    guest.program("sudo", &format!("echo \"$*\" >>{}", log.display()));
    drop(guest.prepared());
    let holds = "exec 9<>\"$1\"/end; echo up; exec sleep 3600";
    let mut command = guest.script(holds, [guest.folder.path()]).spawn().unwrap();
    let mut up = [0; 3];
    command.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    fs::write(guest.path("pid"), format!("{}\n", command.id())).unwrap();
    // It is ours to wait for, as it is the runner's in a guest.
    let waiter = std::thread::spawn(move || command.wait().map(|status| (command.id(), status)));
    says_ended(guest.kill(guest.folder.path()));
    let (id, status) = waiter.join().unwrap().unwrap();
    assert_eq!(status.signal(), Some(15));
    let calls = fs::read_to_string(log).unwrap();
    assert_eq!(calls, format!("-n kill -TERM -{id}\n-n kill -KILL -{id}\n"));
}
