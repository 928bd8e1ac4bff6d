//! Bytes → characters, where Linux writes UTF-8 and firmware writes code page 437.

/// The upper half of code page 437, from 0x80.
const UPPER_HALF: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
     αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Each run of bytes above ASCII is UTF-8 if the whole run is, and else code page 437: in a frame's `─┐` alone the bytes
/// would be UTF-8 by chance.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for run in bytes.chunk_by(|one, next| one.is_ascii() == next.is_ascii()) {
        match std::str::from_utf8(run) {
            Ok(run) => text.push_str(run),
            Err(_) => text.extend(run.iter().map(|byte| upper_half(*byte))),
        }
    }
    text
}

fn upper_half(byte: u8) -> char {
    let index = usize::from(byte & 0x7f);
    UPPER_HALF.chars().nth(index).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_frames_and_letters_are_letters() {
        assert_eq!(UPPER_HALF.chars().count(), 128);
        assert_eq!(decode(b"\xda\xc4\xc4\xbf a\xb3 \xc0\xd9"), "┌──┐ a│ └┘");
        assert_eq!(decode("naïve ─┐ 漢".as_bytes()), "naïve ─┐ 漢");
        assert_eq!(decode(b"\x80\xff"), "Ç\u{a0}");
    }
}
