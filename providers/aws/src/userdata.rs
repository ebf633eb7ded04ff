//! User data: EC2 takes 16 KB of it, counted before base64 (user guide, "Run commands at launch"). What is longer
//! is sent compressed, which cloud-init reads as it reads plain text; then the compressed bytes count.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use vcycle_api::{ErrorKind, ProviderError, UserData};

/// The most bytes of user data, as `user_data_bytes` counts them.
pub const USER_DATA_LIMIT: usize = 16_384;

/// What goes over the wire: the same text gives the same bytes, or EC2 would see another request of the
/// same token.
fn wire(text: &str) -> Vec<u8> {
    if text.len() <= USER_DATA_LIMIT {
        return text.as_bytes().to_vec();
    }
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let written = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish());
    written.expect("writing into memory cannot fail")
}

/// How many bytes of [`USER_DATA_LIMIT`] a text takes: its own, or those of its compressed form when it
/// is longer than that.
pub fn user_data_bytes(text: &str) -> usize {
    wire(text).len()
}

/// The text as the call wants it.
pub(crate) fn encode(
    operation: &'static str,
    user_data: &UserData,
) -> Result<String, ProviderError> {
    let (plain, wire) = (user_data.expose().len(), wire(user_data.expose()));
    if wire.len() <= USER_DATA_LIMIT {
        return Ok(STANDARD.encode(wire));
    }
    let message = format!(
        "user_data has {plain} bytes, {} when compressed; EC2 takes {USER_DATA_LIMIT}",
        wire.len()
    );
    Err(ProviderError::new(ErrorKind::InvalidSpec, operation, message))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Letters and digits without order: base64 of a counter's scrambled bits.
    fn noise(bytes: usize) -> String {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            char::from(b'!' + u8::try_from((state >> 33) % 94).unwrap())
        };
        (0..bytes).map(|_| next()).collect()
    }

    fn encoded(text: &str) -> Result<Vec<u8>, ProviderError> {
        let text = encode("x", &UserData::new(text))?;
        Ok(STANDARD.decode(text).unwrap())
    }

    #[test]
    fn up_to_the_limit_it_goes_as_it_is() {
        let text = noise(USER_DATA_LIMIT);
        assert_eq!(encoded(&text).unwrap(), text.as_bytes());
        assert_eq!(user_data_bytes(&text), USER_DATA_LIMIT);
    }

    #[test]
    fn longer_text_is_compressed_the_same_each_time_and_comes_out_whole() {
        let text = "#!/bin/sh\necho lots of the same\n".repeat(2000);
        let wire = encoded(&text).unwrap();
        assert_eq!(wire, encoded(&text).unwrap());
        assert_eq!(wire.len(), user_data_bytes(&text));
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&wire[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, text);
    }

    #[test]
    fn what_is_too_long_even_compressed_is_refused_without_being_shown() {
        let text = noise(USER_DATA_LIMIT * 2);
        let error = encoded(&text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSpec);
        assert!(error.message.starts_with("user_data has 32768 bytes, "), "{}", error.message);
        assert!(!error.message.contains(&text[..20]));
    }
}
