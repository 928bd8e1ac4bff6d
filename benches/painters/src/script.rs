//! The run that is drawn.

use bootgate::machine::{Cause, DeadlineKind, Deadlines, Record, StageOutcome, State, Verdict};
use bootgate::plan::Evidence;
use bootgate::view::{Look, Row, draw};

use crate::runs::{PLAIN, Run, plan};

/// How often the view is looked at in a second, as `cli/present.rs` does.
const LOOKS: u64 = 4;

/// What is to be shown from one look on.
pub(crate) struct Frame {
    pub(crate) above: String,
    pub(crate) block: Vec<Row>,
    pub(crate) look: Look,
}

/// The whole run, in a window of this width. The guest says something twice a second.
pub(crate) fn frames(columns: usize) -> Vec<Frame> {
    let look = Look {
        columns,
        colour: true,
        ..PLAIN
    };
    let mut frames = Vec::new();
    let mut run = Run::new(&plan());
    let mut show = |run: &Run, second: u64, above: &str| {
        frames.push(Frame {
            above: above.to_owned(),
            block: draw(&run.model, run.at(second), &look),
            look,
        });
    };
    run.begin(0, 0, State::Booting, 720);
    show(&run, 0, "bootgate  run tiny-install-20260102T030405Z-01234567\n");
    for tick in 0..28 * LOOKS {
        if tick % 2 == 0 {
            let said = format!(
                "[{:>5}.141593] EXT4-fs (vda{tick}): mounted filesystem with ordered data mode",
                tick / LOOKS
            );
            run.says(&said, None, None);
        }
        let above = if tick == 36 {
            "    9.00s  Booting → KernelSeen: kernel-seen\n"
        } else {
            ""
        };
        show(&run, tick / LOOKS, above);
    }
    run.end(28, 0, StageOutcome::Passed, Evidence::Login);
    run.begin(28, 1, State::Installing, 1200);
    show(
        &run,
        28,
        "   28.00s  stage boot-live passed\n   28.01s  stage install\n",
    );
    let ticks = 60 * LOOKS;
    for tick in 0..ticks {
        if tick % 2 == 0 && tick > 4 * LOOKS {
            let percent = u8::try_from(tick * 100 / ticks).unwrap();
            let said = format!("{{\"message\":\"Copying system\",\"step\":3,\"steps\":8,\"percent\":{percent}}}");
            run.says("tiny login: ", Some(&said), Some((percent, "3/8 Copying system")));
        }
        let above = if tick % 60 == 59 {
            "           deadline no-progress is near\n"
        } else {
            ""
        };
        show(&run, 28 + tick / LOOKS, above);
    }
    let verdict = Verdict::of(Cause::KernelPanic, String::new(), 1, State::Installing);
    run.record(89, &Record::Decided(Box::new(verdict)));
    run.end(89, 1, StageOutcome::Failed, Evidence::Login);
    run.deadlines = Deadlines::default();
    run.arm(90, DeadlineKind::Hold, 1800);
    run.settle(State::Held);
    show(&run, 90, "   89.00s  Installing → Held\n\nVerdict:  failed (1)\n");
    for tick in 0..10 * LOOKS {
        show(&run, 90 + tick / LOOKS, "");
    }
    frames
}
