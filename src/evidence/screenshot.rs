//! The guest's screen as a PNG.
//!
//! QEMU is asked for a PPM and not for a PNG: when the host's disk is full its PNG writer aborts the whole process, and its
//! PPM writer answers with an error.

use crate::screen::{Picture, PictureError};

/// Why a picture could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ScreenshotError {
    /// It can't be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The PNG could not be made.
    #[error("the screen's picture could not be written as PNG: {0}")]
    Encode(#[from] png::EncodingError),
}

/// Turns what QEMU's `screendump` wrote (a binary PPM, `P6`, eight bits per channel, no comments) into a PNG.
pub fn ppm_to_png(ppm: &[u8]) -> Result<Vec<u8>, ScreenshotError> {
    let picture = Picture::from_ppm(ppm)?;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.pixels())?;
    writer.finish()?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::PPM_BYTES_MAX;
    use proptest::prelude::*;

    fn ppm(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let mut ppm = format!("P6\n{width} {height}\n255\n").into_bytes();
        ppm.extend_from_slice(pixels);
        ppm
    }

    fn decode(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(
            (info.color_type, info.bit_depth),
            (png::ColorType::Rgb, png::BitDepth::Eight)
        );
        (info.width, info.height, pixels)
    }

    #[test]
    fn a_screen_without_a_pixel_too_few_or_too_many() {
        for (raw, complaint) in [
            (b"".as_slice(), "it does not begin with `P6`"),
            (b"P5\n1 1\n255\n\0\0\0", "it does not begin with `P6`"),
            (b"P6", "its width can't be read"),
            (b"P61 1 255\n\0\0\0", "its width can't be read"),
            (b"P6 # comment\n1 1 255\n\0\0\0", "its width can't be read"),
            (b"P6 -1 1 255\n\0\0\0", "its width can't be read"),
            (b"P6 9999999999 1 255\n", "its width can't be read"),
            (b"P6 1", "its height can't be read"),
            (b"P6 1 1", "its depth can't be read"),
            (b"P6 0 1 255\n", "its sides are not those of a screen"),
            (b"P6 16385 1 255\n", "its sides are not those of a screen"),
            (b"P6 999999999 999999999 255\n", "its sides are not those of a screen"),
            (b"P6 1 1 65535\n\0\0\0\0\0\0", "it has not eight bits per channel"),
            (b"P6 1 1 255", "nothing stands between its header and its pixels"),
            (
                b"P6 1 1 255\0\0\0\0",
                "nothing stands between its header and its pixels",
            ),
            (b"P6 1 1 255\n\0\0", "of 1 x 1 pixels has 2 bytes of pixels, and not 3"),
            (
                b"P6 1 1 255\n\0\0\0\0",
                "of 1 x 1 pixels has 4 bytes of pixels, and not 3",
            ),
            (b"P6 16384 16384 255\n\0", "1 bytes of pixels, and not 805306368"),
        ] {
            let error = ppm_to_png(raw).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
        let error = ppm_to_png(&vec![b'P'; PPM_BYTES_MAX + 1]).unwrap_err();
        assert!(
            matches!(error, ScreenshotError::Picture(PictureError::TooLarge { .. })),
            "{error}"
        );
    }

    #[test]
    fn pixels_that_look_like_white_space_are_pixels() {
        let pixels = *b"\n \n   ";
        let (width, height, decoded) = decode(&ppm_to_png(&ppm(2, 1, &pixels)).unwrap());
        assert_eq!((width, height, decoded.as_slice()), (2, 1, pixels.as_slice()));
    }

    proptest! {
        #[test]
        fn every_pixel_stays(width in 1u32..20, height in 1u32..20, seed in prop::collection::vec(any::<u8>(), 1..50)) {
            let count = (width * height) as usize * 3;
            let pixels: Vec<u8> = seed.iter().copied().cycle().take(count).collect();
            let png = ppm_to_png(&ppm(width, height, &pixels)).unwrap();
            prop_assert_eq!(decode(&png), (width, height, pixels));
        }

        #[test]
        fn any_bytes_are_a_picture_or_refused(head in "(P6)?[ \n0-9]{0,20}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ppm_to_png(&[head.as_bytes(), &bytes].concat());
        }
    }
}
