//! The real QEMU: what it does in each story, and how it behaves when it is stopped or told to quit.

use std::fs;

use bootgate::qmp::{NoTranscript, ProtocolNote, QmpError, QmpLoss, QmpNotice, attach};
use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use qapi::qmp::{RunState, query_qmp_schema, query_status, quit};
use serde_json::Value;

use crate::conformance;
use crate::fake::SECOND;
use crate::fixture::{Entry, Manifest, Message, manifest, root, sha256};
use crate::guest::{Installed, installed};
use crate::story::stories;

/// Set it to record all fixtures again.
const RECORD: &str = "BOOTGATE_RECORD_QMP";
/// For a machine that is busy with other tests.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test]
async fn every_story_happens_on_every_qemu() {
    let pairs = installed()
        .into_iter()
        .flat_map(|qemu| stories().into_iter().map(move |story| (qemu.clone(), story)));
    let played = futures::stream::iter(pairs).map(|(qemu, story)| async move {
        let folder = tempfile::tempdir().unwrap();
        let told = story.play(&qemu, folder.path()).await;
        for event in &told.events {
            assert!(event.typed.is_ok(), "{event:?}");
            assert!(event.timestamp_us.is_some(), "{event:?}");
        }
        let mut lines = String::new();
        for message in &told.messages {
            lines.push_str(&serde_json::to_string(message).unwrap());
            lines.push('\n');
        }
        let events = told.events.into_iter().map(|event| event.name).collect();
        (
            version(&told.messages),
            format!("{}.qmp.jsonl", story.name),
            lines,
            events,
        )
    });
    let mut files: Vec<_> = played.buffer_unordered(2).collect().await;
    for qemu in installed() {
        let (version, schema) = schema(&qemu).await;
        conformance::assert_relevant_are_readable(&conformance::unreadable(&schema).1);
        let part = serde_json::to_string(&conformance::events_part(&schema)).unwrap() + "\n";
        files.push((version, "events.schema.json".to_owned(), part, Vec::new()));
    }
    if std::env::var_os(RECORD).is_some() {
        record(files);
    }
}

/// The version that a session's greeting tells.
fn version(messages: &[Message]) -> Value {
    serde_json::from_str::<Value>(&messages[0].raw).unwrap()["QMP"]["version"].clone()
}

async fn schema(qemu: &Installed) -> (Value, Value) {
    let (_child, stream) = qemu.start(&[]);
    let transcript = bootgate::qmp::SharedTranscript::default();
    let (qmp, _notices) = attach(stream, transcript.clone());
    assert!(qmp.execute(query_qmp_schema {}, LONG).await.is_ok());
    let schema = qmp.execute_raw("query-qmp-schema", Value::Null, LONG).await.unwrap();
    let greeting: Value = serde_json::from_slice(&transcript.lines()[0].1).unwrap();
    (greeting["QMP"]["version"].clone(), schema)
}

fn record(files: Vec<(Value, String, String, Vec<String>)>) {
    let mut kept = manifest().file;
    for (version, name, text, events) in files {
        let triple = &version["qemu"];
        let folder = format!("{}.{}.{}_x86_64", triple["major"], triple["minor"], triple["micro"]);
        let path = format!("{folder}/{name}");
        fs::create_dir_all(root().join(&folder)).unwrap();
        fs::write(root().join(&path), &text).unwrap();
        kept.retain(|entry| entry.path != path);
        kept.push(Entry {
            path,
            sha256: sha256(text.as_bytes()),
            bytes: text.len() as u64,
            qemu: version["package"].as_str().unwrap().to_owned(),
            arch: "x86_64".to_owned(),
            captured: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            synthetic: false,
            redactions: Vec::new(),
            events,
        });
    }
    kept.sort_by(|a, b| a.path.cmp(&b.path));
    fs::write(
        root().join("MANIFEST.toml"),
        toml::to_string(&Manifest { file: kept }).unwrap(),
    )
    .unwrap();
}

#[tokio::test]
async fn it_is_negotiated_asked_pinged_and_told_to_quit() {
    for qemu in installed() {
        let (mut child, stream) = qemu.start(&[]);
        let (qmp, mut notices) = attach(stream, NoTranscript);
        let status = qmp.execute(query_status {}, LONG).await.unwrap();
        assert_eq!((status.running, status.status), (false, RunState::prelaunch));
        let Some(QmpNotice::Ready { version, oob: true }) = notices.recv().await else {
            panic!("{qemu:?}")
        };
        assert!(version.major >= 7, "{version}");
        assert!(qmp.ping(LONG).await.unwrap() < LONG);
        let refused = qmp.execute_raw("no-such-command", Value::Null, LONG).await.unwrap_err();
        assert!(
            matches!(&refused, QmpError::Refused { class, .. } if class == "CommandNotFound"),
            "{refused}"
        );

        let _ = qmp.execute(quit {}, LONG).await;
        let mut seen = Vec::new();
        while let Some(notice) = notices.recv().await {
            seen.push(notice);
        }
        assert!(
            matches!(&seen[0], QmpNotice::Event(event) if event.name == "SHUTDOWN"),
            "{seen:?}"
        );
        assert!(
            matches!(
                seen.last(),
                Some(QmpNotice::Lost(QmpLoss::Closed { .. } | QmpLoss::Read { .. }))
            ),
            "{seen:?}"
        );
        assert!(child.wait().await.unwrap().success());
        let after = qmp.ping(LONG).await;
        assert!(matches!(after, Err(QmpError::Lost(_))), "{after:?}");
    }
}

#[tokio::test]
async fn one_that_is_stopped_does_not_answer_and_goes_on_when_it_is_continued() {
    for qemu in installed() {
        let (child, stream) = qemu.start(&[]);
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        let (qmp, mut notices) = attach(stream, NoTranscript);
        qmp.ping(LONG).await.unwrap();
        kill(pid, Signal::SIGSTOP).unwrap();
        // The signal takes effect a little later.
        waitid(Id::Pid(pid), WaitPidFlag::WSTOPPED).unwrap();
        let silence = qmp.ping(SECOND / 5).await;
        assert!(
            matches!(silence, Err(QmpError::Deadline { negotiated: true, .. })),
            "{silence:?}"
        );
        kill(pid, Signal::SIGCONT).unwrap();
        qmp.ping(LONG).await.unwrap();
        qmp.execute(query_status {}, LONG).await.unwrap();
        assert!(matches!(notices.recv().await, Some(QmpNotice::Ready { .. })));
        let late = notices.recv().await;
        assert!(
            matches!(late, Some(QmpNotice::Note(ProtocolNote::LateReply { .. }))),
            "{late:?}"
        );
    }
}

#[tokio::test]
async fn one_that_can_not_start_is_lost_at_once() {
    for qemu in installed() {
        let (_child, stream) = qemu.start(&["-device", "no-such-device"]);
        let (qmp, _notices) = attach(stream, NoTranscript);
        let lost = qmp.execute(query_status {}, LONG).await;
        assert!(matches!(lost, Err(QmpError::Lost(_))), "{lost:?}");
    }
}
