//! Each way in which a guest or its QEMU ends, in each state that needs no SSH: the verdict names it.

use futures::StreamExt as _;

use crate::bench::{Bench, MARKER};
use crate::stories::{Which, dies_of, endings, halfway, live};
use crate::story::{Act, Story, after_cont, at_start, says};

/// Runs at a time: each waits for time to pass more than for the processor.
const AT_ONCE: usize = 4;

/// Runs each bench and checks what it came to; tells every row that is wrong.
pub(crate) async fn all_come_to(rows: Vec<(String, Bench, String)>) {
    let checked = futures::stream::iter(rows).map(|(name, bench, wanted)| async move {
        let finished = bench.run().await;
        let verdict = finished.verdict();
        assert!(finished.has_manifest(), "{name} left no manifest");
        (verdict != wanted).then(|| format!("{name}: {verdict}, not {wanted}\n{}", finished.printed))
    });
    let wrong: Vec<_> = checked
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn each_ending_is_named_while_the_image_boots() {
    let row = |(name, beats, wanted): (String, Vec<_>, String)| {
        let story = Story::new(halfway()).and(beats);
        let bench = Bench::new(&name, "", &[MARKER], &[story]);
        (name, bench, wanted)
    };
    all_come_to(endings("Booting", "cont", Which::All).into_iter().map(row).collect()).await;
}

#[tokio::test]
async fn a_qemu_that_dies_of_a_command_is_told_by_its_death() {
    let ssh = "[ssh]\nuser = \"root\"\npassword = \"x\"\n";
    let rows = [
        ("query-status", 0, "infrastructure qemu-will-not-start Preparing 4"),
        // The monitor's page is asked for where there is a port to learn.
        (
            "human-monitor-command",
            0,
            "infrastructure qemu-will-not-start Preparing 4",
        ),
        ("cont", 0, "infrastructure qemu-killed Booting 4"),
        ("query-status", 1, "infrastructure qemu-killed Booting 4"),
        ("quit", 0, "passed every-claim-proved Releasing 0"),
    ];
    let rows = rows.map(|(command, times_before, wanted)| {
        let ssh = if command.starts_with("human") { ssh } else { "" };
        let name = format!("dies of {command} after {times_before}");
        let bench = Bench::new(&name, ssh, &[MARKER], &[dies_of(command, times_before)]);
        (name, bench, wanted.to_owned())
    });
    all_come_to(rows.into()).await;
}

#[tokio::test]
async fn a_qemu_that_does_not_come_up_says_what_it_said() {
    let beats = [
        at_start(Act::Complain("qemu-system-x86_64: no such CPU".to_owned())),
        at_start(Act::Exit(1)),
    ];
    let finished = Bench::new("exits at once", "", &[MARKER], &[Story::new(beats)])
        .run()
        .await;
    let finished = finished.comes_to("infrastructure qemu-will-not-start Preparing 4");
    let detail = finished.result["verdict"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("no such CPU") && detail.contains("exit code 1"),
        "{detail}"
    );

    let killed = Story::new([at_start(Act::Die("SIGABRT".to_owned()))]);
    let deaf = Story::new([at_start(Act::CloseQmp)]);
    let strange = Story::default().greeting("{\"QMP\": 1}");
    let refuses = Story::new([
        at_start(Act::Deaf("qmp_capabilities".to_owned())),
        crate::story::on(
            "qmp_capabilities",
            0,
            Act::Qmp(r#"{"error": {"class": "GenericError", "desc": "no"}, "id": 1}"#.to_owned()),
        ),
    ]);
    let row = |name: &str, story: Story, wanted: &str| {
        (
            name.to_owned(),
            Bench::new(name, "", &[MARKER], &[story]),
            format!("infrastructure {wanted} Preparing 4"),
        )
    };
    all_come_to(vec![
        row("aborts at once", killed, "qemu-will-not-start"),
        row("closes QMP and stays", deaf, "qmp-lost"),
        row("greets strangely and stays", strange, "qmp-lost"),
        row("refuses to negotiate", refuses, "qmp-lost"),
    ])
    .await;
}

#[tokio::test]
async fn a_machine_that_makes_way_may_end_in_any_way() {
    let row = |name: &str, beats: Vec<_>, wanted: &str| {
        let story = Story::new(live()).and(beats);
        (
            name.to_owned(),
            Bench::new(name, "", &[MARKER], &[story]),
            wanted.to_owned(),
        )
    };
    let quit = |after_ms, act| crate::story::on("quit", after_ms, act);
    let deaf = || at_start(Act::Deaf("quit".to_owned()));
    let passed = "passed every-claim-proved Releasing 0";
    all_come_to(vec![
        row("exits on quit", vec![], passed),
        row("exits badly on quit", vec![deaf(), quit(0, Act::Exit(1))], passed),
        row("needs SIGTERM", vec![deaf()], passed),
        row("closes QMP and stays", vec![deaf(), quit(0, Act::CloseQmp)], passed),
        row(
            "needs SIGKILL",
            vec![deaf(), quit(0, Act::Die("SIGSTOP".to_owned()))],
            passed,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_guest_that_stays_below_the_claim_says_how_far_it_came() {
    let brief = MARKER.replace("20s", "1s");
    let row = |name: &str, beats: Vec<_>, wanted: &str| {
        (
            name.to_owned(),
            Bench::new(name, "", &[&brief], &[Story::new(beats)]),
            wanted.to_owned(),
        )
    };
    let prompt = [halfway(), vec![says(50, "fake login: ")]].concat();
    all_come_to(vec![
        row("silent", vec![], "untestable no-serial-console Booting 5"),
        row(
            "firmware only",
            vec![says(10, "SeaBIOS")],
            "failed boot-timeout Booting 1",
        ),
        row("no marker", halfway(), "failed no-marker Booting 1"),
        row("a login prompt is no marker", prompt, "failed no-marker Booting 1"),
        row(
            "the console ends",
            vec![says(10, "x"), after_cont(50, Act::CloseSerial)],
            "failed boot-timeout Booting 1",
        ),
    ])
    .await;
}
