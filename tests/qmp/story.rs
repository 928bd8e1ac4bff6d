//! What is recorded: each story is a machine, a guest and the steps that are taken with it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bootgate::qmp::{Direction, QmpError, QmpEvent, QmpNotice, Transcript, attach};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use crate::fixture::Message;
use crate::guest::{self, Installed, boot_disk};

/// How long a step may take, on a machine that is busy with other tests.
const STEP: Duration = Duration::from_secs(60);

/// One step of a story.
pub(crate) enum Step {
    /// A command that succeeds.
    Do(&'static str, Value),
    /// An event that is seen, others may be before it.
    See(&'static str),
    /// Two events that are seen, in any order.
    SeeBoth(&'static str, &'static str),
}

pub(crate) struct Story {
    pub(crate) name: &'static str,
    /// What the machine has beyond the base.
    pub(crate) arguments: Vec<&'static str>,
    /// What the guest does when it is let run.
    pub(crate) guest: Option<&'static [u8]>,
    pub(crate) steps: Vec<Step>,
}

use Step::{Do, See, SeeBoth};

fn simple(command: &'static str) -> Step {
    Do(command, Value::Null)
}

fn story(name: &'static str, arguments: &[&'static str], guest: Option<&'static [u8]>, steps: Vec<Step>) -> Story {
    Story {
        name,
        arguments: arguments.to_vec(),
        guest,
        steps,
    }
}

/// A disk on which every write fails as if the host's disk were full.
const FULL_DISK: &str = "driver=blkdebug,node-name=full,image.driver=null-co,image.size=1048576,\
     inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno=28";

pub(crate) fn stories() -> Vec<Story> {
    [host_stories(), guest_stories(), job_stories()]
        .into_iter()
        .flatten()
        .collect()
}

/// What the host does to the machine.
fn host_stories() -> Vec<Story> {
    let started = || vec![simple("cont"), See("RESUME")];
    let then = |mut steps: Vec<Step>, more: Vec<Step>| {
        steps.extend(more);
        steps
    };
    vec![
        story("greeting", &[], None, vec![simple("query-status")]),
        story(
            "cont-stop",
            &[],
            None,
            then(started(), vec![simple("stop"), See("STOP"), simple("query-status")]),
        ),
        story(
            "system-reset",
            &[],
            None,
            then(started(), vec![simple("system_reset"), See("RESET")]),
        ),
        story(
            "powerdown",
            &[],
            None,
            then(started(), vec![simple("system_powerdown"), See("POWERDOWN")]),
        ),
    ]
}

/// What the guest does by itself.
fn guest_stories() -> Vec<Story> {
    let disk = [
        "-blockdev",
        FULL_DISK,
        "-device",
        "virtio-blk-pci,id=scratch,drive=full,werror=stop,rerror=stop",
    ];
    // QEMU 10.0 reports at most one error a second, so the second one comes after the stop that it causes.
    let fails = || {
        [
            simple("cont"),
            SeeBoth("BLOCK_IO_ERROR", "STOP"),
            simple("query-status"),
        ]
    };
    vec![
        story(
            "guest-reset",
            &[],
            Some(guest::RESETS),
            vec![simple("cont"), See("RESET"), See("RESET"), simple("stop"), See("STOP")],
        ),
        story(
            "guest-shutdown",
            &["-action", "shutdown=pause"],
            Some(guest::POWERS_OFF),
            vec![simple("cont"), See("SHUTDOWN"), See("STOP"), simple("query-status")],
        ),
        story(
            "pvpanic",
            &["-device", "pvpanic", "-action", "panic=pause"],
            Some(guest::PANICS),
            vec![
                simple("cont"),
                See("GUEST_PANICKED"),
                See("STOP"),
                simple("query-status"),
            ],
        ),
        story(
            "pvpanic-crash-kernel",
            &["-device", "pvpanic"],
            Some(guest::LOADS_CRASH_KERNEL),
            vec![simple("cont"), See("GUEST_CRASHLOADED")],
        ),
        story(
            "enospc-stop-cont",
            &disk,
            Some(guest::WRITES),
            fails().into_iter().chain(fails()).collect(),
        ),
    ]
}

/// Jobs in the background.
fn job_stories() -> Vec<Story> {
    let nulls = [
        "-blockdev",
        "null-co,node-name=from,size=1048576",
        "-blockdev",
        "null-co,node-name=to,size=1048576",
    ];
    let backup = json!({"job-id": "copy", "device": "from", "target": "to", "sync": "full"});
    let events = json!({"capabilities": [{"capability": "events", "state": true}]});
    vec![
        story(
            "block-job",
            &nulls,
            None,
            vec![
                simple("cont"),
                Do("blockdev-backup", backup),
                See("JOB_STATUS_CHANGE"),
                See("BLOCK_JOB_COMPLETED"),
                See("JOB_STATUS_CHANGE"),
                simple("query-jobs"),
            ],
        ),
        story(
            "migration",
            &[],
            None,
            vec![
                Do("migrate-set-capabilities", events),
                Do("migrate", json!({"uri": "exec:cat >/dev/null"})),
                See("MIGRATION"),
                See("MIGRATION"),
                See("MIGRATION"),
                simple("query-status"),
            ],
        ),
    ]
}

/// Keeps a session as a fixture keeps it.
#[derive(Clone)]
struct Recorder {
    started: Instant,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Transcript for Recorder {
    fn record(&mut self, direction: Direction, line: &[u8]) {
        let dir = if direction == Direction::Received { "rx" } else { "tx" };
        let t_us = u64::try_from(self.started.elapsed().as_micros()).unwrap();
        let raw = String::from_utf8(line.to_vec()).unwrap();
        self.messages.lock().unwrap().push(Message {
            t_us,
            dir: dir.to_owned(),
            raw,
        });
    }
}

/// What a story gave.
pub(crate) struct Told {
    pub(crate) messages: Vec<Message>,
    pub(crate) events: Vec<QmpEvent>,
}

impl Story {
    /// Plays it on a real QEMU, up to and including its end by `quit`.
    pub(crate) async fn play(&self, qemu: &Installed, folder: &Path) -> Told {
        let disk = folder.join("boot.raw");
        let blockdev = format!(
            "raw,node-name=boot,read-only=on,file.driver=file,file.filename={}",
            disk.display()
        );
        let mut arguments = Vec::new();
        if let Some(program) = self.guest {
            boot_disk(&disk, program);
            arguments.extend([
                "-blockdev",
                &blockdev,
                "-device",
                "virtio-blk-pci,drive=boot,bootindex=0",
            ]);
        }
        arguments.extend(&self.arguments);
        let (mut child, stream) = qemu.start(&arguments);
        let messages = Arc::new(Mutex::new(Vec::new()));
        let recorder = Recorder {
            started: Instant::now(),
            messages: Arc::clone(&messages),
        };
        let (qmp, mut notices) = attach(stream, recorder);
        let mut events = Vec::new();
        for step in &self.steps {
            match step {
                Do(command, arguments) => {
                    let result = qmp.execute_raw(command, arguments.clone(), STEP).await;
                    assert!(result.is_ok(), "{}: {command}: {result:?}", self.name);
                }
                See(name) => self.see(&mut notices, vec![name], &mut events).await,
                SeeBoth(one, other) => self.see(&mut notices, vec![one, other], &mut events).await,
            }
        }
        // QEMU may be gone before its reply was read.
        let quit = qmp.execute_raw("quit", Value::Null, STEP).await;
        assert!(
            matches!(quit, Ok(_) | Err(QmpError::Lost(_))),
            "{}: {quit:?}",
            self.name
        );
        while let Some(notice) = tokio::time::timeout(STEP, notices.recv()).await.unwrap() {
            match notice {
                QmpNotice::Event(event) => events.push(event),
                QmpNotice::Ready { .. } | QmpNotice::Lost(_) => {}
                QmpNotice::Note(note) => panic!("{}: {note}", self.name),
            }
        }
        assert!(child.wait().await.unwrap().success());
        let messages = std::mem::take(&mut *messages.lock().unwrap());
        Told { messages, events }
    }

    async fn see(&self, notices: &mut Receiver<QmpNotice>, mut names: Vec<&str>, events: &mut Vec<QmpEvent>) {
        while !names.is_empty() {
            let notice = tokio::time::timeout(STEP, notices.recv()).await;
            match notice.unwrap_or_else(|_| panic!("{}: no {names:?}; seen: {events:?}", self.name)) {
                Some(QmpNotice::Event(event)) => {
                    names.retain(|name| *name != event.name);
                    events.push(event);
                }
                Some(QmpNotice::Ready { .. }) => {}
                other => panic!("{}: {other:?} instead of {names:?}; seen: {events:?}", self.name),
            }
        }
    }
}
