//! The accelerator of this machine, whatever it is, is found by a probe and explained.

mod qemu_support;

use bootgate::plan::Accelerator;
use bootgate::qemu::accelerator::{ProbeOutcome, choose};
use bootgate::qemu::feature::Accel;

#[tokio::test]
async fn this_machine_gets_an_accelerator_and_a_reason() {
    for qemu in qemu_support::qemus().await {
        let chosen = choose(&qemu, Accelerator::Auto, None).await.unwrap();
        println!("QEMU {}: {}", qemu.features.version, chosen.why);
        let proved = chosen
            .probed
            .as_ref()
            .is_some_and(|probe| probe.outcome == ProbeOutcome::LongMode);
        assert_eq!(chosen.accel == Accel::Kvm, proved, "{}", chosen.why);
        assert!(chosen.why.starts_with("KVM is "), "{}", chosen.why);
        let asked_for = choose(&qemu, Accelerator::Kvm, None).await;
        assert_eq!(asked_for.is_ok(), proved, "{asked_for:?}");
    }
}
