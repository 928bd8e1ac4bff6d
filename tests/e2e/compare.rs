//! The same image, gated as the project that this is made for did it until now: `tests/seed-polling.sh` polls and sleeps,
//! bootgate follows events. Both times are taken from power-on to "ready", and from a guest's panic to the verdict.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, Outcome};
use crate::gate::GateFile;
use crate::live::{gate, live};
use crate::row::{FirstStep, PASSED, Table, failed};
use crate::tiny::repository;

const FAULT: &str = "panic-after-marker";

/// Times both ways, and tells their ratios.
pub(crate) fn compare(table: &mut Table) {
    let Some(first_step) = table.first_step.take().or_else(|| first_step_alone(table)) else {
        return;
    };
    let FirstStep {
        login_seconds: login,
        ready_seconds: stable,
        arguments,
    } = first_step;
    let faulty = Bench::new(&first_step_gate(Some(FAULT)));
    let mut verdict_after = None;
    table.row(
        "panic-after-the-marker",
        failed("kernel-panic", "kernel-panic"),
        || faulty.whole(),
        |outcome| verdict_after = Some(panic_to_verdict(outcome)),
    );
    let ready = polled(&arguments, None);
    assert_eq!(ready["outcome"], "ready", "{ready:?}");
    let (ssh, settled) = (seconds(&ready, "ssh"), seconds(&ready, "settled"));
    table.remarks.push(format!(
        "power-on to ready:    polling {ssh:.1} s to a login, {settled:.1} s with its settling sleep; bootgate {login:.1} s to a \
         login, {stable:.1} s with three in a row: {:.2}, {:.2}",
        ssh / login,
        settled / stable
    ));
    let Some(verdict_after) = verdict_after else { return };
    // What it takes is the sum of its sleeps and time limits, so that other work beside it takes nothing from it.
    table.beside("panic-polled", move || {
        let panicked = polled(&arguments, Some(FAULT));
        let took = seconds(&panicked, "verdict") - seconds(&panicked, "fault");
        format!(
            "panic to the verdict: polling {took:.1} s (\"{}\"), bootgate {verdict_after:.3} s (kernel-panic): {:.0}",
            panicked["outcome"],
            took / verdict_after
        )
    });
}

/// A time that the script told.
fn seconds(told: &BTreeMap<String, String>, key: &str) -> f64 {
    told[key].parse().unwrap()
}

/// The first step, if no other row has run it.
fn first_step_alone(table: &mut Table) -> Option<FirstStep> {
    let bench = Bench::new(&first_step_gate(None));
    let mut first_step = None;
    table.row(
        "first-step-uefi",
        PASSED,
        || bench.whole(),
        |outcome| first_step = Some(FirstStep::of(outcome)),
    );
    first_step
}

/// The first step under UEFI, on two processors, as the script does it.
fn first_step_gate(fault: Option<&str>) -> GateFile {
    let mut gate = gate("live-install.toml");
    gate.truncate(1);
    if let Some(fault) = fault {
        gate.faults(&format!("fault:{fault}"));
    }
    gate
}

/// From the guest's own line that the fault strikes now to the verdict, in seconds.
fn panic_to_verdict(outcome: &Outcome) -> f64 {
    let serial = std::fs::read(outcome.path.join("serial.log")).unwrap();
    let line = format!("live-fault: {FAULT}");
    let offset = serial
        .windows(line.len())
        .position(|part| part == line.as_bytes())
        .unwrap();
    let inputs = outcome.text("inputs.jsonl");
    let struck = arrival_us(&inputs, offset);
    let verdict = outcome.trace.iter().find(|record| record["kind"] == "verdict").unwrap();
    let took = verdict["t_us"].as_u64().unwrap().saturating_sub(struck);
    std::time::Duration::from_micros(took).as_secs_f64()
}

/// When a byte of the console came, on the run's clock.
fn arrival_us(inputs: &str, offset: usize) -> u64 {
    let offset = offset as u64;
    let records = inputs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut bytes = records.filter(|record| record["kind"] == "bytes" && record["file"] == "serial.log");
    let holds = |record: &Value| {
        let begin = record["offset"].as_u64().unwrap();
        (begin..begin + record["length"].as_u64().unwrap()).contains(&offset)
    };
    bytes.find(holds).expect("the line has come")["t_us"].as_u64().unwrap()
}

/// Runs the script on the same image, processor, memory and firmware; gives what it printed.
fn polled(arguments: &str, fault: Option<&str>) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let code = arguments
        .split('"')
        .find(|word| word.contains("CODE") && word.starts_with('/'));
    let code = code.expect("bootgate has found a firmware");
    let mut command = Command::new(repository().join("tests/seed-polling.sh"));
    if fault.is_some() {
        // A guest that has panicked spins on its processor, and the rows beside it need that.
        command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(repository().join("tests/seed-polling.sh"));
    }
    command
        .arg(&live().debug)
        .args([code, &code.replace("CODE", "VARS")])
        .arg(folder.path());
    for option in ["-accel", "-cpu", "-smp", "-m"] {
        command.args([option, &value_of(arguments, option)]);
    }
    command.args(["-machine", "q35"]);
    if let Some(fault) = fault {
        command.args(["-smbios", &format!("type=1,serial=fault:{fault}")]);
    }
    eprintln!("e2e: polling …");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let pairs = told.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The value of an option in `argv.txt`.
fn value_of(arguments: &str, option: &str) -> String {
    let mut words = arguments.split_whitespace();
    words.find(|word| *word == option).expect("bootgate sets it");
    words.next().unwrap().to_owned()
}
