//! Freezing against a QEMU that does not do what it is told.

#[path = "qmp/fake.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod fake;
mod qemu_support;

use bootgate::checkpoint::{FreezeError, JobError, freeze};
use bootgate::plan::{DiskCache, DiskFormat};
use bootgate::qemu::argv::MachineSpec;
use bootgate::qmp::Qmp;
use fake::{FakeQemu, ready};
use qemu_support::machines::{disk, usual};
use serde_json::{Value, json};

/// A machine with two disks in a folder, and what QEMU says of them.
fn two_disks(folder: &std::path::Path) -> (MachineSpec, Value) {
    let mut machine = usual(folder, &qemu_support::recorded_features("7.2.22"));
    machine.disks = ["a", "b"]
        .map(|name| disk(folder, name, DiskFormat::Raw, DiskCache::Unsafe, name == "a"))
        .to_vec();
    let block = |name: &str| {
        let inserted = json!({ "node-name": format!("disk-{name}"), "image": { "virtual-size": 1024 } });
        json!({ "qdev": format!("/machine/peripheral/disk-{name}/virtio-backend"), "inserted": inserted })
    };
    let blocks = json!([block("a"), block("b")]);
    (machine, blocks)
}

async fn hears(fake: &mut FakeQemu, command: &str) -> Value {
    let heard = fake.hear().await;
    assert_eq!(heard["execute"], command, "{heard}");
    heard
}

async fn agrees(fake: &mut FakeQemu, command: &str, result: Value) -> Value {
    let heard = hears(fake, command).await;
    fake.reply(&heard, result).await;
    heard
}

async fn refuses(fake: &mut FakeQemu, command: &str) {
    let heard = hears(fake, command).await;
    let error = json!({ "class": "GenericError", "desc": "no" });
    fake.say(&json!({ "error": error, "id": heard["id"] }).to_string())
        .await;
}

/// Carries out a job, which ends with this.
async fn job(fake: &mut FakeQemu, error: Option<&str>) -> Value {
    let heard = agrees(fake, "blockdev-create", json!({})).await;
    let id = heard["arguments"]["job-id"].clone();
    for status in ["created", "running", "pending", "concluded"] {
        let data = json!({ "id": id, "status": status });
        let event = json!({ "event": "JOB_STATUS_CHANGE", "data": data });
        fake.say(&event.to_string()).await;
    }
    let mut ended = json!({ "id": id, "status": "concluded" });
    if let Some(error) = error {
        ended["error"] = error.into();
    }
    agrees(fake, "query-jobs", json!([ended])).await;
    agrees(fake, "job-dismiss", json!({})).await;
    heard
}

async fn frozen(
    play: impl AsyncFnOnce(&mut FakeQemu, Value),
) -> (Result<MachineSpec, FreezeError>, MachineSpec, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (machine, blocks) = two_disks(folder.path());
    let mut ends = ready().await;
    let overlays = folder.path().join("overlays");
    let qmp: Qmp = ends.qmp.clone();
    let (frozen, ()) = tokio::join!(freeze(&qmp, &machine, &overlays), play(&mut ends.fake, blocks));
    (frozen, machine, folder)
}

fn left(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path().join("overlays")).unwrap().count()
}

#[tokio::test]
async fn all_disks_are_frozen_at_once() {
    let (frozen, before, folder) = frozen(async |fake, blocks| {
        agrees(fake, "query-block", blocks).await;
        for name in ["disk-a", "disk-b"] {
            let create = job(fake, None).await;
            assert_eq!(create["arguments"]["options"]["size"], 1024);
            let add = agrees(fake, "blockdev-add", json!({})).await;
            assert_eq!(add["arguments"]["node-name"], format!("{name}.1"));
            assert_eq!(add["arguments"]["backing"], Value::Null);
            assert_eq!(add["arguments"]["cache"]["no-flush"], true);
        }
        let all = agrees(fake, "transaction", json!({})).await;
        let action = |name: &str| {
            let data = json!({ "node": name, "overlay": format!("{name}.1") });
            json!({ "type": "blockdev-snapshot", "data": data })
        };
        assert_eq!(all["arguments"]["actions"], json!([action("disk-a"), action("disk-b")]));
    })
    .await;
    let frozen = frozen.unwrap();
    for (now, before) in frozen.disks.iter().zip(&before.disks) {
        assert_eq!(now.format, DiskFormat::Qcow2);
        assert_eq!(
            (&now.layers[0].path, now.layers[0].format),
            (&before.path, before.format)
        );
        assert!(now.path.exists());
    }
    assert_eq!(left(&folder), 2);
}

#[tokio::test]
async fn a_job_that_fails_is_told_in_its_own_words() {
    let (frozen, _, folder) = frozen(async |fake, blocks| {
        agrees(fake, "query-block", blocks).await;
        job(fake, Some("No space left on device")).await;
    })
    .await;
    let error = frozen.unwrap_err();
    assert!(
        matches!(&error, FreezeError::Job(JobError::Failed { reason, .. }) if reason.contains("No space")),
        "{error:?}"
    );
    assert_eq!(left(&folder), 0);
}

#[tokio::test]
async fn if_one_disk_can_not_be_frozen_none_is() {
    let (frozen, _, folder) = frozen(async |fake, blocks| {
        agrees(fake, "query-block", blocks).await;
        for _ in 0..2 {
            job(fake, None).await;
            agrees(fake, "blockdev-add", json!({})).await;
        }
        refuses(fake, "transaction").await;
        for name in ["disk-a.1", "disk-b.1"] {
            let removed = agrees(fake, "blockdev-del", json!({})).await;
            assert_eq!(removed["arguments"]["node-name"], name);
        }
    })
    .await;
    assert!(matches!(frozen, Err(FreezeError::Qmp(_))), "{frozen:?}");
    assert_eq!(left(&folder), 0);
}

#[tokio::test]
async fn a_disk_that_qemu_does_not_have_is_told() {
    let (frozen, _, _folder) = frozen(async |fake, _| {
        agrees(fake, "query-block", json!([])).await;
    })
    .await;
    assert!(
        matches!(&frozen, Err(FreezeError::NoDevice { device }) if device == "disk-a"),
        "{frozen:?}"
    );
}
