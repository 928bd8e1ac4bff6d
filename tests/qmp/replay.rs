//! Recorded sessions, cut at every byte and in every chunking.

use std::cell::Cell;
use std::rc::Rc;

use bootgate::qmp::codec::LineBuffer;
use bootgate::qmp::session::{Output, Session, Waiter};
use bootgate::qmp::{ProtocolNote, QmpError, QmpLoss, QmpNotice, Request};
use proptest::prelude::*;
use serde_json::Value;

use crate::fake::{Ends, SECOND, silent};
use crate::fixture::{Message, recordings};

/// A caller that never leaves, and counts how often it was answered.
struct Counted(Rc<Cell<usize>>);

impl Waiter for Counted {
    fn is_waiting(&self) -> bool {
        true
    }
}

/// What a replay gave.
#[derive(Default)]
struct Seen {
    events: Vec<String>,
    notes: Vec<ProtocolNote>,
    losses: Vec<QmpLoss>,
    sent: Vec<String>,
    /// How often each call was answered.
    answers: Vec<Rc<Cell<usize>>>,
    unanswered_by_loss: usize,
}

/// Plays a recording up to `cut_bytes` of what QEMU said, in chunks as `chunk_bytes` gives them, then ends the session.
/// Without `calls` nothing but the negotiation is said to QEMU.
fn replay(messages: &[Message], cut_bytes: usize, calls: bool, mut chunk_bytes: impl FnMut() -> usize) -> Seen {
    let mut session = Session::<Counted>::default();
    let mut lines = LineBuffer::default();
    let mut seen = Seen::default();
    let mut left_bytes = cut_bytes;
    let mut segment = Vec::new();
    let mut commands = 0;
    for message in messages {
        if message.dir == "rx" {
            segment.extend_from_slice(message.raw.as_bytes());
            segment.extend_from_slice(b"\r\n");
            continue;
        }
        commands += 1;
        if commands == 1 || !calls {
            continue;
        }
        feed(
            &mut session,
            &mut lines,
            &mut seen,
            &mut segment,
            &mut left_bytes,
            &mut chunk_bytes,
        );
        if left_bytes == 0 {
            break;
        }
        let command: Value = serde_json::from_str(&message.raw).unwrap();
        let count = Rc::new(Cell::new(0));
        seen.answers.push(Rc::clone(&count));
        let request = Request::new(command["execute"].as_str().unwrap(), command["arguments"].clone());
        session.request(request, Counted(count));
        collect(&mut session, &mut seen);
    }
    feed(
        &mut session,
        &mut lines,
        &mut seen,
        &mut segment,
        &mut left_bytes,
        &mut chunk_bytes,
    );
    session.end(QmpLoss::Closed {
        unfinished_bytes: lines.unfinished().len(),
    });
    session.end(QmpLoss::GivenUp);
    collect(&mut session, &mut seen);
    seen
}

fn feed(
    session: &mut Session<Counted>,
    lines: &mut LineBuffer,
    seen: &mut Seen,
    segment: &mut Vec<u8>,
    left_bytes: &mut usize,
    chunk_bytes: &mut impl FnMut() -> usize,
) {
    segment.truncate(*left_bytes);
    *left_bytes -= segment.len();
    let mut rest = &segment[..];
    while !rest.is_empty() {
        let (mut chunk, tail) = rest.split_at(chunk_bytes().clamp(1, rest.len()));
        rest = tail;
        while let Some(line) = lines.take_line(&mut chunk).unwrap() {
            session.receive(line);
        }
    }
    segment.clear();
    collect(session, seen);
}

fn collect(session: &mut Session<Counted>, seen: &mut Seen) {
    while let Some(output) = session.next_output() {
        match output {
            Output::Send { line, recorded: None } => seen.sent.push(String::from_utf8(line).unwrap()),
            Output::Send { recorded: Some(_), .. } => panic!("nothing is secret here"),
            Output::Finish { waiter, outcome } => {
                waiter.0.set(waiter.0.get() + 1);
                seen.unanswered_by_loss += usize::from(matches!(outcome, Err(QmpError::Lost(_))));
            }
            Output::Notice(QmpNotice::Event(event)) => seen.events.push(event.name),
            Output::Notice(QmpNotice::Note(note)) => seen.notes.push(note),
            Output::Notice(QmpNotice::Lost(loss)) => seen.losses.push(loss),
            Output::Notice(QmpNotice::Ready { .. }) => {}
        }
    }
}

#[test]
fn a_recording_gives_its_events_and_says_what_was_said() {
    for (entry, messages) in recordings() {
        let seen = replay(&messages, usize::MAX, true, || usize::MAX);
        assert_eq!(seen.events, entry.events, "{}", entry.path);
        assert_eq!(seen.notes, [], "{}", entry.path);
        let said: Vec<_> = messages
            .iter()
            .filter(|message| message.dir == "tx")
            .map(|message| &message.raw)
            .collect();
        assert_eq!(seen.sent.iter().collect::<Vec<_>>(), said, "{}", entry.path);
        assert!(seen.answers.iter().all(|count| count.get() == 1), "{}", entry.path);
    }
}

#[test]
fn a_recording_may_end_at_any_byte() {
    for (entry, messages) in recordings() {
        let received = || messages.iter().filter(|message| message.dir == "rx");
        let length = received().map(|message| message.raw.len() + 2).sum::<usize>();
        for cut_bytes in 0..=length {
            let seen = replay(&messages, cut_bytes, true, || usize::MAX);
            let mut end = 0;
            let whole = received().take_while(|message| {
                end += message.raw.len() + 2;
                end <= cut_bytes
            });
            let expected = whole.filter(|message| message.raw.contains(r#""event":"#)).count();
            assert_eq!(
                seen.events,
                entry.events[..expected],
                "{} cut at {cut_bytes}",
                entry.path
            );
            assert_eq!(seen.losses.len(), 1, "{} cut at {cut_bytes}", entry.path);
            assert!(matches!(seen.losses[0], QmpLoss::Closed { .. }));
            assert!(
                seen.answers.iter().all(|count| count.get() == 1),
                "{} cut at {cut_bytes}",
                entry.path
            );
            assert!(seen.unanswered_by_loss <= seen.answers.len());
        }
    }
}

#[test]
fn byte_by_byte_and_all_at_once_give_the_same_events() {
    for (entry, messages) in recordings() {
        assert_eq!(
            replay(&messages, usize::MAX, true, || 1).events,
            entry.events,
            "{}",
            entry.path
        );
        assert_eq!(
            replay(&messages, usize::MAX, false, || usize::MAX).events,
            entry.events,
            "{}",
            entry.path
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_link_may_be_cut_at_any_byte_too() {
    let (entry, messages) = recordings()
        .into_iter()
        .find(|(entry, _)| entry.path.contains("unknown-event"))
        .unwrap();
    let received = messages.iter().filter(|message| message.dir == "rx");
    let bytes: Vec<u8> = received
        .flat_map(|message| format!("{}\r\n", message.raw).into_bytes())
        .collect();
    for cut_bytes in 0..=bytes.len() {
        let Ends {
            mut fake,
            qmp,
            mut notices,
            ..
        } = silent();
        let asked = tokio::spawn(async move { qmp.execute_raw("query-block", Value::Null, SECOND).await });
        tokio::task::yield_now().await;
        assert!(fake.say_bytes(&bytes[..cut_bytes]).await);
        drop(fake);
        let mut events = Vec::new();
        let mut losses = 0;
        while let Some(notice) = notices.recv().await {
            assert_eq!(losses, 0, "something came after the loss");
            match notice {
                QmpNotice::Event(event) => events.push(event.name),
                QmpNotice::Lost(QmpLoss::Closed { .. }) => losses += 1,
                QmpNotice::Lost(other) => panic!("{other}"),
                QmpNotice::Ready { .. } | QmpNotice::Note(_) => {}
            }
        }
        let lines = bytes[..cut_bytes].split(|&byte| byte == b'\n').collect::<Vec<_>>();
        let whole = lines[..lines.len() - 1]
            .iter()
            .filter(|line| line.windows(8).any(|part| part == b"\"event\":"));
        assert_eq!(events, entry.events[..whole.count()], "cut at {cut_bytes}");
        assert_eq!(losses, 1);
        // The recording's id 2 is this call's, too, so it may have been answered.
        assert!(matches!(asked.await.unwrap(), Ok(_) | Err(QmpError::Lost(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn any_chunking_gives_the_same_events(sizes in prop::collection::vec(1usize..300, 1..20)) {
        for (entry, messages) in recordings() {
            let mut sizes = sizes.iter().copied().cycle();
            let seen = replay(&messages, usize::MAX, true, || sizes.next().unwrap());
            prop_assert_eq!(&seen.events, &entry.events, "{}", entry.path);
            prop_assert_eq!(&seen.notes, &[], "{}", entry.path);
        }
    }

    #[test]
    fn no_order_of_lines_panics_or_answers_twice(order in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        for (_, messages) in recordings().into_iter().take(4) {
            let shuffled: Vec<_> = order.iter().map(|index| index.get(&messages).clone()).collect();
            let seen = replay(&shuffled, usize::MAX, true, || usize::MAX);
            prop_assert_eq!(seen.losses.len(), 1);
            prop_assert!(seen.answers.iter().all(|count| count.get() == 1));
        }
    }
}
