//! Random walks through a session: callers come and go, QEMU says anything, the session ends at any time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bootgate::qmp::session::{IN_BAND_IN_FLIGHT_MAX, OUT_OF_BAND_IN_FLIGHT_MAX, Output, Session, Waiter};
use bootgate::qmp::{Band, QmpError, QmpLoss, QmpNotice, Request};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::fake::GREETING;

#[derive(Debug, Clone, Copy)]
enum Move {
    Ask(Band),
    Leave(Index),
    /// QEMU answers something that it heard.
    Answer(Index),
    /// QEMU answers something with an error.
    Refuse(Index),
    Say(&'static str),
    End,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let bands = prop::sample::select(vec![Band::InBand, Band::OutOfBand, Band::OutOfBandIfOffered]);
    let lines = vec![
        "",
        "{}",
        "x",
        r#"{"return": 1}"#,
        r#"{"return": 1, "id": 3}"#,
        r#"{"event": "STOP"}"#,
        GREETING,
    ];
    prop::collection::vec(
        prop_oneof![
            20 => bands.prop_map(Move::Ask),
            4 => any::<Index>().prop_map(Move::Leave),
            10 => any::<Index>().prop_map(Move::Answer),
            4 => any::<Index>().prop_map(Move::Refuse),
            8 => prop::sample::select(lines).prop_map(Move::Say),
            1 => Just(Move::End),
        ],
        0..200,
    )
}

/// A caller, and what it knows.
#[derive(Default)]
struct Caller {
    gone: Cell<bool>,
    answers: Cell<usize>,
}

struct Reference(Rc<Caller>);

impl Waiter for Reference {
    fn is_waiting(&self) -> bool {
        !self.0.gone.get()
    }
}

#[derive(Default)]
struct World {
    session: Session<Reference>,
    callers: Vec<Rc<Caller>>,
    /// What QEMU heard and has not answered: id to whether it is out of band.
    heard: BTreeMap<u64, bool>,
    lost: usize,
}

impl World {
    fn step(&mut self, step: Move) {
        match step {
            Move::Ask(band) => {
                let caller = Rc::new(Caller::default());
                self.callers.push(Rc::clone(&caller));
                self.session
                    .request(Request::new("x", Value::Null).in_band(band), Reference(caller));
            }
            Move::Leave(index) if !self.callers.is_empty() => index.get(&self.callers).gone.set(true),
            Move::Answer(index) => self.answer(index, &json!({"return": {}})),
            Move::Refuse(index) => self.answer(index, &json!({"error": {"class": "C", "desc": "d"}})),
            Move::Say(line) => {
                if line.contains(r#""id": 3"#) {
                    self.heard.remove(&3);
                }
                self.session.receive(line.as_bytes());
            }
            Move::End => self.session.end(QmpLoss::GivenUp),
            Move::Leave(_) => {}
        }
        self.collect();
    }

    fn answer(&mut self, index: Index, message: &Value) {
        let ids: Vec<u64> = self.heard.keys().copied().collect();
        if !ids.is_empty() {
            let id = *index.get(&ids);
            self.heard.remove(&id);
            let mut message = message.clone();
            message["id"] = json!(id);
            self.session.receive(message.to_string().as_bytes());
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Send { line, .. } => {
                    let command: Value = serde_json::from_slice(&line).unwrap();
                    let oob = command.get("exec-oob").is_some();
                    assert!(
                        self.heard.insert(command["id"].as_u64().unwrap(), oob).is_none(),
                        "an id was used twice"
                    );
                }
                Output::Finish { waiter, outcome } => {
                    assert!(waiter.is_waiting() || matches!(outcome, Err(QmpError::Lost(_) | QmpError::Busy { .. })));
                    waiter.0.answers.set(waiter.0.answers.get() + 1);
                }
                Output::Notice(QmpNotice::Lost(_)) => self.lost += 1,
                Output::Notice(_) => {}
            }
        }
        let oob = self.heard.values().filter(|oob| **oob).count();
        assert!(oob <= OUT_OF_BAND_IN_FLIGHT_MAX);
        assert!(self.heard.len() - oob <= IN_BAND_IN_FLIGHT_MAX);
    }
}

proptest! {
    #[test]
    fn every_caller_that_stays_is_answered_exactly_once(greets in prop::bool::weighted(0.9), moves in moves()) {
        let mut world = World::default();
        if greets {
            world.step(Move::Say(GREETING));
        }
        for step in moves {
            world.step(step);
        }
        world.step(Move::End);
        prop_assert_eq!(world.lost, 1);
        for caller in &world.callers {
            prop_assert!(caller.answers.get() <= 1);
            prop_assert!(caller.gone.get() || caller.answers.get() == 1);
        }
    }
}
