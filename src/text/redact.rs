//! Keeps secrets out of what bootgate writes.

use regex::bytes::Regex;

use crate::plan::Secret;

/// Length in bytes under which a secret is not looked for: it would be found in ordinary text, and the stars would tell
/// where it is not. [`Redactor::too_short`] counts them so that the gate can warn.
pub const SECRET_BYTES_MIN: usize = 4;

/// What stands in place of a secret.
const STARS: &[u8] = b"***";

/// Replaces every occurrence of the secrets that it knows by `***`, as written and as they look inside a JSON string.
/// Occurrences that overlap become one `***`.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<Regex>,
    needle_bytes_max: usize,
    too_short: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("secrets", &self.needles.len())
            .finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor of `secrets`.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut redactor = Self::default();
        for secret in secrets {
            let plain = secret.expose();
            if plain.len() < SECRET_BYTES_MIN {
                redactor.too_short += 1;
                continue;
            }
            redactor.add(plain);
            let quoted = serde_json::Value::from(plain).to_string();
            let in_json = &quoted[1..quoted.len() - 1];
            if in_json != plain {
                redactor.add(in_json);
            }
        }
        redactor
    }

    /// How many secrets are shorter than [`SECRET_BYTES_MIN`] and so are left alone.
    pub fn too_short(&self) -> usize {
        self.too_short
    }

    /// `bytes` without the secrets.
    pub fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut clean = stream.push(bytes);
        clean.extend(stream.finish());
        clean
    }

    /// A redactor for bytes that come in chunks; it finds secrets across their borders.
    pub fn stream(&self) -> RedactorStream<'_> {
        RedactorStream {
            redactor: self,
            held: Vec::new(),
            covered: 0,
        }
    }

    fn add(&mut self, needle: &str) {
        // A literal always compiles: it is escaped, and a passphrase is far below the size limit of a regex.
        if let Ok(regex) = Regex::new(&regex::escape(needle)) {
            self.needles.push(regex);
            self.needle_bytes_max = self.needle_bytes_max.max(needle.len());
        }
    }

    /// The places of all secrets, overlapping ones too, by their start.
    fn places(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for needle in &self.needles {
            let mut from = 0;
            while let Some(found) = needle.find_at(bytes, from) {
                places.push((found.start(), found.end()));
                from = found.start() + 1;
            }
        }
        places.sort_unstable();
        places
    }
}

/// A [`Redactor`] at work on one stream. It holds back at most the length of the longest secret.
pub struct RedactorStream<'a> {
    redactor: &'a Redactor,
    held: Vec<u8>,
    /// How many of the held bytes are part of a secret for which `***` was written already.
    covered: usize,
}

impl RedactorStream<'_> {
    /// Takes a chunk; returns what is certain not to be part of a secret, and stars for what was.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let may_begin_later = self.redactor.needle_bytes_max.saturating_sub(1);
        self.release(self.held.len().saturating_sub(may_begin_later))
    }

    /// The stream's rest.
    pub fn finish(mut self) -> Vec<u8> {
        self.release(self.held.len())
    }

    /// Writes what begins in front of `end`, where every secret that begins is there as a whole.
    fn release(&mut self, end: usize) -> Vec<u8> {
        let mut clean = Vec::with_capacity(end);
        let mut done = self.covered;
        for (start, stop) in self.redactor.places(&self.held) {
            if start >= end {
                break;
            }
            if start >= done {
                clean.extend_from_slice(&self.held[done..start]);
                clean.extend_from_slice(STARS);
            }
            done = done.max(stop);
        }
        if done < end {
            clean.extend_from_slice(&self.held[done..end]);
        }
        self.held.drain(..end);
        self.covered = done.saturating_sub(end);
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<_> = secrets.iter().map(|s| Secret::new((*s).to_owned())).collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn every_occurrence_goes() {
        let redactor = redactor(&["abcd", "cdef", "aaaa", "wei\"rd\n"]);
        for (raw, clean) in [
            ("xabcdabcdx", "x******x"),
            ("abcdef", "***"),
            ("aaaaaa", "***"),
            ("abc", "abc"),
            (r#"{"p":"wei\"rd\n"}"#, r#"{"p":"***"}"#),
            ("wei\"rd\n", "***"),
        ] {
            assert_eq!(String::from_utf8(redactor.redact(raw.as_bytes())).unwrap(), clean);
        }
    }

    #[test]
    fn short_secrets_are_counted_not_looked_for() {
        let redactor = redactor(&["abc", ""]);
        assert_eq!(redactor.too_short(), 2);
        assert_eq!(redactor.redact(b"abc"), b"abc");
        assert_eq!(format!("{redactor:?}"), "Redactor { secrets: 0, .. }");
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(text in "[abc]{0,60}", secrets in prop::collection::vec("[abc]{4,6}", 0..3),
                                     chunk in 1usize..7) {
            let secrets: Vec<_> = secrets.into_iter().map(Secret::new).collect();
            let redactor = Redactor::new(&secrets);
            let whole = redactor.redact(text.as_bytes());
            let mut stream = redactor.stream();
            let mut parts: Vec<u8> = text.as_bytes().chunks(chunk).flat_map(|part| stream.push(part)).collect();
            parts.extend(stream.finish());
            prop_assert_eq!(&parts, &whole);
            // No byte of any secret's place is left: what is left are the bytes outside of all places, in order.
            let mut inside = vec![false; text.len()];
            for secret in &secrets {
                for start in 0..text.len() {
                    if text[start..].starts_with(secret.expose()) {
                        inside[start..start + secret.expose().len()].fill(true);
                    }
                }
            }
            let left: Vec<u8> = text.bytes().zip(&inside).filter(|(_, inside)| !**inside).map(|(b, _)| b).collect();
            let without_stars: Vec<u8> = whole.into_iter().filter(|b| *b != b'*').collect();
            prop_assert_eq!(without_stars, left);
        }
    }
}
