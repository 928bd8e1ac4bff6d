//! What waits to be sent to a guest that a person types to. The guest may read nothing, so what waits is bounded, and the
//! key that leaves it is looked for before anything is kept.

/// Ctrl-], as the `telnet` and `virsh console` of old.
pub(super) const DETACH_KEY: u8 = 0x1d;
/// Bytes that wait at most. A person's further keys are lost, as on a terminal whose program reads nothing.
pub(super) const WAITING_BYTES_MAX: usize = 64 * 1024;

/// Bytes for the guest, in their order.
#[derive(Debug, Default)]
pub(super) struct Typed {
    waiting: Vec<u8>,
}

/// What came of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Among them was the key that leaves; what came after it is nobody's.
    pub(super) detaches: bool,
    /// There was no room for all of them.
    pub(super) is_short: bool,
}

impl Typed {
    /// Takes keys of a person.
    pub(super) fn keys(&mut self, keys: &[u8]) -> Taken {
        let detach = keys.iter().position(|key| *key == DETACH_KEY);
        let meant = &keys[..detach.unwrap_or(keys.len())];
        let kept = meant.len().min(self.room_bytes());
        self.waiting.extend_from_slice(&meant[..kept]);
        Taken {
            detaches: detach.is_some(),
            is_short: kept < meant.len(),
        }
    }

    /// Takes bytes as they are, at most [`room_bytes`](Self::room_bytes) of them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// How many more bytes may wait.
    pub(super) fn room_bytes(&self) -> usize {
        WAITING_BYTES_MAX.saturating_sub(self.waiting.len())
    }

    /// What is to be sent next.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// The first bytes of it are on their way.
    pub(super) fn sent(&mut self, count: usize) {
        self.waiting.drain(..count);
    }

    /// Nobody takes anything any more.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk() -> impl Strategy<Value = Vec<u8>> {
        let few = prop::collection::vec(prop_oneof![9 => any::<u8>(), 1 => Just(DETACH_KEY)], 0..40);
        let many = (1..WAITING_BYTES_MAX * 2).prop_map(|count| vec![b'x'; count]);
        prop_oneof![8 => few, 1 => many]
    }

    proptest! {
        /// Chunks of keys, and how much the guest's side takes after each.
        #[test]
        fn keys_arrive_in_order_up_to_the_bound_and_the_detach_key_always_works(
            chunks in prop::collection::vec((chunk(), 0..WAITING_BYTES_MAX), 0..12),
        ) {
            let (mut typed, mut expected, mut arrived) = (Typed::default(), Vec::new(), Vec::new());
            for (chunk, taken) in chunks {
                let room = WAITING_BYTES_MAX - typed.waiting().len();
                let before: Vec<u8> = chunk.iter().copied().take_while(|key| *key != DETACH_KEY).collect();
                let said = typed.keys(&chunk);
                prop_assert_eq!(said.detaches, chunk.contains(&DETACH_KEY));
                prop_assert_eq!(said.is_short, before.len() > room);
                expected.extend_from_slice(&before[..before.len().min(room)]);
                prop_assert!(typed.waiting().len() <= WAITING_BYTES_MAX);
                prop_assert_eq!(typed.room_bytes(), WAITING_BYTES_MAX - typed.waiting().len());
                if said.detaches {
                    break;
                }
                let taken = taken.min(typed.waiting().len());
                arrived.extend_from_slice(&typed.waiting()[..taken]);
                typed.sent(taken);
            }
            arrived.extend_from_slice(typed.waiting());
            prop_assert!(arrived == expected);
            prop_assert!(!arrived.contains(&DETACH_KEY));
        }
    }
}
