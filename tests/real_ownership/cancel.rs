//! A run that is told to stop: soon gone, with its evidence whole, and nothing of it left.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bootgate::evidence::{RunRecord, RunState, verify_manifest};
use bootgate::procfs::{ProcessGrip, ProcessIdentity};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::gates::{EARLY, Gate, boot, command};
use crate::watched_run::{BOOTGATE, Place, Watched};

const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;
const HUNG_UP: i32 = 129;
/// The promise, from the signal to the end.
const CANCELLED_MAX: Duration = Duration::from_secs(5);

/// Checks what a cancelled run has left.
#[track_caller]
fn closed(record: &RunRecord, exit_code: i32) {
    assert_eq!(record.verdict_state().unwrap(), RunState::Finished);
    let verdict = &record.result().unwrap().unwrap()["verdict"];
    assert_eq!(
        (&verdict["class"], &verdict["exit_code"]),
        (&"cancelled".into(), &exit_code.into())
    );
    let (manifest, differences) = verify_manifest(&record.path).unwrap();
    assert_eq!(differences, []);
    assert_eq!(manifest.missing, [""; 0]);
    assert!(record.trace().unwrap().torn.is_none());
}

/// Sends a signal when the run prints these words.
#[track_caller]
fn cancelled_at(place: &Place, words: &str, gate: &Gate, signal: Signal, exit_code: i32) {
    let mut run = Watched::start(place, &gate.text());
    run.until(words);
    run.signal(signal);
    assert_eq!(run.ends(CANCELLED_MAX), exit_code, "{words}: {}", run.told());
    assert_eq!(place.processes(), [], "{words}");
    closed(&run.record(), exit_code);
}

/// Stops the run's QEMU, which then answers nobody and can only be killed.
fn freeze_machine(place: &Place) -> ProcessGrip {
    let machines = place.machines();
    let [machine] = machines[..] else {
        panic!("one machine was expected: {machines:?}")
    };
    let grip = ProcessGrip::take(machine).unwrap().unwrap();
    grip.signal(Signal::STOP).unwrap();
    grip
}

#[test]
fn interrupted_before_a_machine_is_there() {
    let place = Place::new();
    for _ in 0..3 {
        cancelled_at(&place, "  run ", &Gate::default(), Signal::INT, INTERRUPTED);
        cancelled_at(&place, "── stage boot", &Gate::default(), Signal::INT, INTERRUPTED);
    }
    // With a disk to make and an accelerator to probe there is more to be given up.
    let busy = || Gate {
        disk: true,
        accelerator: "auto",
        ..Gate::default()
    };
    for after_ms in [20, 60, 120, 250, 500] {
        let text = busy()
            .text()
            .replace("size = \"16MiB\"", "size = \"16MiB\"\nformat = \"qcow2\"");
        let mut run = Watched::start(&place, &text);
        run.id();
        assert!(!run.ends_within(Duration::from_millis(after_ms)), "{}", run.told());
        run.signal(Signal::INT);
        assert_eq!(run.ends(CANCELLED_MAX), INTERRUPTED, "{}", run.told());
        assert_eq!(place.processes(), []);
        closed(&run.record(), INTERRUPTED);
    }
}

#[test]
fn cancelled_while_the_guest_runs() {
    let place = Place::new();
    let installing = Gate {
        stages: boot("login") + &command("sleep 600"),
        ..Gate::default()
    }
    .with_login();
    cancelled_at(&place, "→ Booting", &Gate::default(), Signal::INT, INTERRUPTED);
    cancelled_at(&place, "→ Booting", &Gate::default(), Signal::TERM, TERMINATED);
    cancelled_at(&place, "→ Booting", &Gate::default(), Signal::HUP, HUNG_UP);
    cancelled_at(&place, "command-started", &installing, Signal::INT, INTERRUPTED);
}

#[test]
fn a_machine_that_does_not_answer_does_not_delay_the_end() {
    let place = Place::new();
    let mut run = Watched::start(&place, &Gate::default().text());
    run.until("→ Booting");
    let _machine = freeze_machine(&place);
    run.signal(Signal::INT);
    assert_eq!(run.ends(CANCELLED_MAX), INTERRUPTED, "{}", run.told());
    assert_eq!(place.processes(), []);
    closed(&run.record(), INTERRUPTED);
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let place = Place::new();
    let mut run = Watched::start(&place, &Gate::default().text());
    run.until("→ Booting");
    let _machine = freeze_machine(&place);
    run.signal(Signal::INT);
    run.until("Booting → Stopping");
    run.signal(Signal::INT);
    assert_eq!(run.ends(Duration::from_secs(1)), INTERRUPTED, "{}", run.told());
    assert_eq!(place.processes(), []);
    closed(&run.record(), INTERRUPTED);
}

#[test]
fn hang_up_is_ignored_under_nohup() {
    let place = Place::new();
    let early = place.write(
        "gate.toml",
        Gate {
            marker: EARLY,
            ..Gate::default()
        }
        .text(),
    );
    let mut nohup = Command::new("nohup");
    nohup.args([BOOTGATE, "run"]).arg(early).arg("--runs").arg(place.runs());
    nohup.current_dir(place.path()).process_group(0).stdin(Stdio::null());
    let mut run = Watched::spawn(&place, nohup, 0);
    run.until("→ Booting");
    run.signal(Signal::HUP);
    run.passes();
}

#[test]
fn nobody_reads_its_output() {
    let place = Place::new();
    let gate = place.write(
        "gate.toml",
        Gate {
            marker: EARLY,
            ..Gate::default()
        }
        .text(),
    );
    for json in [&[][..], &["--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.bootgate(&["run", gate.to_str().unwrap()]);
        command.args(json).stdout(writer.try_clone().unwrap()).stderr(writer);
        let status = command.status().unwrap();
        assert_eq!(status.code(), Some(0), "{json:?}");
        let record = bootgate::evidence::open(&place.runs(), "last").unwrap();
        assert_eq!(record.result().unwrap().unwrap()["verdict"]["class"], "passed");
        assert_eq!(place.processes(), []);
    }
}

/// A pipe into which not one byte more goes.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(b".").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// A run whose output goes into a pipe, and its machine.
fn run_into(place: &Place, gate: &Gate, pipe: PipeWriter) -> (Watched, ProcessGrip) {
    let gate = place.write("gate.toml", gate.text());
    let mut command = place.bootgate(&["run", gate.to_str().unwrap()]);
    command.stdout(pipe);
    let run = Watched::spawn_unheard(place, command);
    loop {
        if let [machine] = place.machines()[..] {
            return (run, ProcessGrip::take(machine).unwrap().unwrap());
        }
        // Nothing tells from outside when a machine is there.
        assert!(
            !run.ends_within(Duration::from_millis(20)),
            "it ended without a machine"
        );
    }
}

#[test]
fn its_reader_stalls() {
    let place = Place::new();
    let (_unread, pipe) = full_pipe();
    let (mut run, _machine) = run_into(&place, &Gate::default(), pipe);
    run.signal(Signal::INT);
    assert_eq!(run.ends(CANCELLED_MAX), INTERRUPTED);
    closed(&bootgate::evidence::open(&place.runs(), "last").unwrap(), INTERRUPTED);

    // What nobody reads delays no verdict, and is there for whoever reads it later.
    let (mut late, pipe) = full_pipe();
    let early = Gate {
        marker: EARLY,
        ..Gate::default()
    };
    let (mut run, machine) = run_into(&place, &early, pipe);
    assert!(machine.wait_until_gone(Duration::from_secs(60)).unwrap());
    let mut output = String::new();
    late.read_to_string(&mut output).unwrap();
    assert!(
        output.contains("Booting → Exiting") && output.contains("Verdict:  passed"),
        "{output}"
    );
    run.passes();
    assert_eq!(place.processes(), []);
}

/// The bootgate that works here, if it is not a child of ours.
fn bootgate_in(place: &Place) -> ProcessGrip {
    let is_bootgate = |process: &ProcessIdentity| {
        let program = std::fs::read_link(format!("/proc/{}/exe", process.pid));
        program.is_ok_and(|program| program == Path::new(BOOTGATE).canonicalize().unwrap())
    };
    let found = place.processes().into_iter().find(is_bootgate).expect("bootgate runs");
    ProcessGrip::take(found).unwrap().unwrap()
}

#[test]
fn its_terminal_goes_away() {
    let place = Place::new();
    let gate = place.write("gate.toml", Gate::default().text());
    let line = format!(
        "exec {BOOTGATE} run {} --runs {}",
        gate.display(),
        place.runs().display()
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--command", &line, "/dev/null"]);
    script.current_dir(place.path()).process_group(0).stdin(Stdio::null());
    let mut terminal = Watched::spawn(&place, script, 0);
    terminal.until("→ Booting");
    let bootgate = bootgate_in(&place);
    terminal.signal(Signal::KILL);
    assert!(
        bootgate.wait_until_gone(CANCELLED_MAX).unwrap(),
        "it outlives its terminal"
    );
    assert_eq!(place.processes(), []);
    closed(&bootgate::evidence::open(&place.runs(), "last").unwrap(), HUNG_UP);
}

#[test]
fn its_wrapper_is_killed_with_its_group() {
    let place = Place::new();
    let gate = place.write("gate.toml", Gate::default().text());
    let line = format!(
        "{BOOTGATE} run {} --runs {}; true",
        gate.display(),
        place.runs().display()
    );
    for signal in [Signal::KILL, Signal::TERM] {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &line])
            .current_dir(place.path())
            .process_group(0)
            .stdin(Stdio::null());
        let mut wrapper = Watched::spawn(&place, shell, 0);
        wrapper.until("→ Booting");
        let bootgate = bootgate_in(&place);
        kill_process_group(Pid::from_raw(wrapper.pid().cast_signed()).unwrap(), signal).unwrap();
        assert!(
            bootgate.wait_until_gone(CANCELLED_MAX).unwrap(),
            "it outlives its group"
        );
        place.assert_deserted_since(Instant::now());
        wrapper.ends(CANCELLED_MAX);
        let record = wrapper.record();
        if signal == Signal::KILL {
            assert_eq!(record.verdict_state().unwrap(), RunState::Interrupted { reaped: false });
        } else {
            closed(&record, TERMINATED);
        }
    }
}

/// A job that is stopped and goes on: the guest has lost nothing, so neither has the run.
#[test]
fn stopped_and_continued() {
    // A stall shows once the loop is two seconds later than its tick of one second.
    const STOPPED: Duration = Duration::from_secs(4);
    let place = Place::new();
    let mut run = Watched::start(
        &place,
        &Gate {
            marker: EARLY,
            ..Gate::default()
        }
        .text(),
    );
    run.until("→ Booting");
    let machine = ProcessGrip::take(place.machines()[0]).unwrap().unwrap();
    run.signal(Signal::STOP);
    assert!(
        !machine.wait_until_gone(STOPPED).unwrap(),
        "the machine ended while its owner was stopped"
    );
    run.signal(Signal::CONT);
    run.passes();
    assert_eq!(place.processes(), []);
    let trace = place.ask(&["trace", "last", "--notes"]);
    let trace = String::from_utf8_lossy(&trace.stdout);
    assert!(trace.contains("host-stalled"), "{trace}");
}
