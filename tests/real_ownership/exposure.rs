//! What a run shows to others: nothing but its evidence, and that to its owner only. Canaries stand for secrets.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use bootgate::procfs;

use crate::gates::{Gate, TARGET, boot, installs, quoted, sector};
use crate::outside::{files, listeners, status, unix_sockets};
use crate::watched_run::{Place, Watched};

/// What QEMU may have of its owner's environment.
const PASSED: [&str; 5] = ["HOME", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR"];

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Passes if no process's command line holds the word, except what is named by `/proc` of this test alone.
#[track_caller]
fn no_command_line_holds(word: &str) {
    for pid in procfs::all_pids().unwrap() {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(
            !contains(&arguments, word),
            "process {pid}: {}",
            String::from_utf8_lossy(&arguments)
        );
    }
}

/// Every file below a directory, with its bytes.
fn everything_below(directory: &Path, check: &mut dyn FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            everything_below(&path, check);
        } else if path.is_file() {
            check(&path, &std::fs::read(&path).unwrap());
        }
    }
}

/// Passes if neither the run nor what it printed holds the word.
#[track_caller]
fn left_nowhere(run: &mut Watched, word: &str) {
    let mut files = 0;
    everything_below(&run.record().path, &mut |path, bytes| {
        files += 1;
        assert!(!contains(bytes, word), "{} holds the secret", path.display());
    });
    assert!(files > 8, "only {files} files");
    assert!(!run.told().contains(word), "it was printed:\n{}", run.told());
}

/// A word that is nowhere else.
fn canary(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4().simple())
}

#[track_caller]
fn is_private(directory: &Path) {
    let mode = |path: &Path| path.symlink_metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700, "{}", directory.display());
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            is_private(&path);
        } else {
            assert_eq!(mode(&path) & 0o177, 0, "{}", path.display());
        }
    }
}

/// QEMU as it runs: what it listens on, what it has open, what it knows, what it may do.
fn qemu_is_confined(pid: u32, run: &Path, secrets: &[&str]) {
    let reached = listeners(pid);
    assert!(reached.len() == 1 && reached[0].is_loopback, "{reached:?}");
    assert_eq!(status(pid, "Seccomp"), "2");
    assert_eq!(status(pid, "NoNewPrivs"), "1");

    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    for variable in environment
        .split(|&byte| byte == 0)
        .filter(|variable| !variable.is_empty())
    {
        let variable = String::from_utf8_lossy(variable);
        let name = variable.split('=').next().unwrap();
        assert!(PASSED.contains(&name), "QEMU knows of {name}");
        assert!(
            !secrets.iter().any(|secret| variable.contains(secret)),
            "{name} holds a secret"
        );
    }

    let open = files(pid);
    assert_eq!(open[&0], Path::new("/dev/null"));
    assert_eq!(
        (&open[&1], &open[&2]),
        (&run.join("qemu.stderr"), &run.join("qemu.stderr"))
    );
    for (number, file) in open.range(3..) {
        let name = file.as_os_str().as_bytes();
        // Of its own making: the event loop's, and the guest's memory.
        let own = [&b"anon_inode:"[..], b"/memfd:", b"pipe:", b"socket:"]
            .iter()
            .any(|kind| name.starts_with(kind));
        let meant = file.starts_with(run) || file == Path::new("/dev/null") || file == Path::new("/dev/urandom");
        assert!(own || meant, "descriptor {number} is {}", file.display());
    }
    // QMP, the console, the firmware's debug port. QEMU's own network has more, of other kinds, none of which listens.
    assert_eq!(unix_sockets(pid), 3, "{open:?}");
}

#[test]
fn a_run_shows_nothing_and_keeps_its_secrets() {
    let place = Place::new();
    let (environment, answer) = (canary("environment"), canary("answer"));
    let sector = place.write("sector", sector(false));
    let gate = installs(&sector, TARGET, "{ env = \"ANSWER_CANARY\" }");
    // Something that bootgate itself was given without asking, as a CI job may have.
    let strange = std::fs::File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&strange, rustix::io::FdFlags::empty()).unwrap();
    let mut run = Watched::start_as(&place, &gate.text(), |command| {
        command.env("ANSWER_CANARY", &answer).env("SECRET_CANARY", &environment);
    });
    drop(strange);
    for words in ["→ Booting", "→ Installing", "→ BootingDisk"] {
        run.until(words);
        let directory = run.record().path;
        assert!(listeners(run.pid()).is_empty(), "{:?}", listeners(run.pid()));
        let machines = place.machines();
        assert_eq!(machines.len(), 1);
        qemu_is_confined(machines[0].pid, &directory, &[&answer, &environment]);
        is_private(&directory);
        no_command_line_holds(&answer);
    }
    run.passes();
    let directory = run.record().path;
    is_private(&directory);
    assert!(run.told().contains("BootingDisk → Unlocking"), "{}", run.told());
    for secret in [&environment, &answer] {
        left_nowhere(&mut run, secret);
    }
}

/// The exit code of a run whose image can't be tested this way.
const UNTESTABLE: i32 = 5;

/// A password that is wrong is tried, and told to nobody.
fn rejected(place: &Place, password: &str, canary: &str) {
    let gate = Gate {
        password: Some(password.to_owned()),
        stages: boot("login"),
        ..Gate::default()
    };
    let mut run = Watched::start_as(place, &gate.text(), |command| {
        command.env("PASSWORD_CANARY", canary);
    });
    run.until("→ MarkerSeen");
    no_command_line_holds(canary);
    assert_eq!(run.ends(Duration::from_secs(120)), UNTESTABLE, "{}", run.told());
    assert!(
        run.told().contains("ssh-auth-rejected: 3 times in a row"),
        "{}",
        run.told()
    );
    left_nowhere(&mut run, canary);
    let check = place.ask(&["trace", "last", "--notes"]);
    assert!(!contains(&check.stdout, canary) && !contains(&check.stderr, canary));
}

#[test]
fn a_wrong_password_from_the_environment_stays_secret() {
    let canary = canary("password");
    rejected(&Place::new(), "{ env = \"PASSWORD_CANARY\" }", &canary);
}

#[test]
fn a_wrong_password_from_a_file_or_the_gate_stays_secret() {
    let place = Place::new();
    let canary = canary("password");
    let file = place.write("password", format!("{canary}\n"));
    rejected(&place, &format!("{{ file = {} }}", quoted(&file)), &canary);
    rejected(&place, &format!("{canary:?}"), &canary);
}
