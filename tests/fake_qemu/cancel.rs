//! Signals to bootgate, and a host that takes its time.

use nix::sys::signal::Signal;

use crate::bench::{Bench, MARKER};
use crate::stories::{halfway, live};
use crate::story::{Act, NO_GREETING, Story, after_cont, at_start, on};

fn interrupted(signal: &str, when: &str) -> Story {
    Story::new(halfway()).and([on(when, 100, Act::Parent(signal.to_owned()))])
}

#[tokio::test]
async fn a_signal_ends_the_run_with_its_code_and_a_whole_run_directory() {
    for (signal, code) in [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)] {
        let bench = Bench::new(signal, "", &[MARKER], &[interrupted(signal, "cont")]);
        let finished = bench
            .run()
            .await
            .comes_to(&format!("cancelled cancelled Booting {code}"));
        assert_eq!(
            finished.states(),
            ["Booting", "Stopping", "Capturing", "Discarding", "Finished"]
        );
        assert_eq!(finished.result["verdict"]["detail"], signal);
        assert!(finished.has_manifest() && !finished.file("screen-1.png").is_empty());
    }
}

#[tokio::test]
async fn a_signal_ends_a_machine_that_never_greets() {
    let story = Story::new([at_start(Act::Parent("SIGINT".to_owned()))]).greeting(NO_GREETING);
    let finished = Bench::new("no greeting", "", &[MARKER], &[story]).run().await;
    let finished = finished.comes_to("cancelled cancelled Preparing 130");
    assert_eq!(finished.states(), ["Discarding", "Finished"]);
}

#[tokio::test]
async fn a_machine_that_answers_nothing_is_gone_within_five_seconds_of_a_signal() {
    let story = interrupted("SIGINT", "cont").and([on("cont", 50, Act::Deaf("*".to_owned()))]);
    let finished = Bench::new("deaf", "", &[MARKER], &[story]).run().await;
    let finished = finished.comes_to("cancelled cancelled Booting 130");
    let at = |event: &str| finished.records(event)[0]["t_us"].as_u64().unwrap();
    let last = finished.trace.last().unwrap()["t_us"].as_u64().unwrap();
    assert!(last - at("cancelled") < 5_000_000, "{}", finished.printed);
}

#[tokio::test]
async fn a_second_signal_kills_at_once() {
    // The second one comes while the machine, which is deaf, is waited for.
    let twice = [
        after_cont(250, Act::Parent("SIGTERM".to_owned())),
        at_start(Act::Deaf("stop".to_owned())),
    ];
    let story = interrupted("SIGINT", "cont").and(twice);
    let finished = Bench::new("twice", "", &[MARKER], &[story]).run().await;
    let finished = finished.comes_to("cancelled cancelled Booting 130");
    assert_eq!(finished.states(), ["Booting", "Stopping", "Discarding", "Finished"]);
    assert_eq!(finished.records("cancelled-again").len(), 1, "{}", finished.printed);
}

#[tokio::test]
async fn a_controller_that_stood_still_does_not_blame_the_guest() {
    // The stage has 5 seconds; bootgate is stopped for 4 of them; the marker comes when 6 have passed.
    let stage = MARKER.replace("20s", "5s");
    let beats = [
        after_cont(1_000, Act::Parent("SIGSTOP".to_owned())),
        after_cont(5_000, Act::Parent("SIGCONT".to_owned())),
        after_cont(6_000, Act::Serial("LIVE-READY\r\n".to_owned(), 0)),
    ];
    let finished = Bench::new("stall", "", &[&stage], &[Story::new(halfway()).and(beats)])
        .run()
        .await;
    let finished = finished.comes_to("passed every-claim-proved Releasing 0");
    assert_eq!(finished.records("host-stalled").len(), 1, "{}", finished.printed);
}

#[tokio::test]
async fn a_person_at_the_terminal_may_interrupt_too() {
    let mut story = Story::new(live());
    story.beats.truncate(2);
    let bench = Bench::new("from outside", "", &[MARKER], &[story]);
    // The signal may come at any moment: before the first line is printed there is nothing to leave behind.
    let finished = bench.interrupted_when("Preparing → Booting", Signal::SIGINT).await;
    finished.comes_to("cancelled cancelled Booting 130");
}
