//! A kvm node proves nothing: where KVM is useless the run falls back to TCG and says why, on every host.

use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::gates::{EARLY, Gate};
use crate::watched_run::{Place, Watched};

/// A QEMU that is the real one, but for a KVM that fails as on some nested hosts.
const WITHOUT_KVM: &str = r#"#!/bin/sh
case " $* " in
*" -accel kvm "*)
  echo 'qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69' >&2
  kill -ABRT $$
  ;;
esac
exec qemu-system-x86_64 "$@"
"#;

fn host_of(place: &Place, gate: Gate) -> Value {
    let gate = Gate {
        accelerator: "auto",
        marker: EARLY,
        ..gate
    };
    let mut run = Watched::start(place, &gate.text());
    run.passes();
    let result = run.record().result().unwrap().unwrap();
    let why = result["host"]["accelerator_why"].as_str().unwrap();
    assert!(run.told().contains(&why[..40]), "the reason is shown: {}", run.told());
    result["host"].clone()
}

#[test]
fn useless_kvm_is_told_and_replaced() {
    let place = Place::new();
    let qemu = place.write("qemu", WITHOUT_KVM);
    std::fs::set_permissions(&qemu, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = host_of(
        &place,
        Gate {
            qemu: Some(qemu),
            ..Gate::default()
        },
    );
    let why = host["accelerator_why"].as_str().unwrap();
    assert_eq!(host["accelerator"], "tcg", "{why}");
    // The node decides only whether a probe is worth making.
    if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok() {
        assert!(
            why.contains("/dev/kvm opens, but the probe with `-cpu host` was killed by SIGABRT"),
            "{why}"
        );
        assert!(why.contains("failed to set MSR 0x10a"), "{why}");
    } else {
        assert!(why.contains("/dev/kvm can't be opened"), "{why}");
    }
}

#[test]
fn what_this_host_has_is_used_and_told() {
    let host = host_of(&Place::new(), Gate::default());
    let why = host["accelerator_why"].as_str().unwrap();
    match host["accelerator"].as_str().unwrap() {
        "kvm" => assert!(why.contains("reached 64-bit code"), "{why}"),
        "tcg" => assert!(why.starts_with("KVM is not used: /dev/kvm "), "{why}"),
        other => panic!("{other}: {why}"),
    }
}
