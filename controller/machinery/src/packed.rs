//! JSON as it is kept: packed, since what objects say of themselves is mostly what others of their kind say.
//!
//! LZ4 with a dictionary that is made of the words of our resources; an object of a few hundred bytes has little to
//! repeat of its own. One that is not a kind of ours is packed as well as its own text allows.

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// A text that takes less room than it is long, or as much.
#[derive(PartialEq, Eq)]
pub(crate) struct Packed {
    content: Box<[u8]>,
    /// Bytes of the text; equal to the bytes of the content where that is the text itself.
    len: usize,
}

/// What stands in nearly every object, as the controller and clients of the API write it.
const DICTIONARY: &[u8] = include_bytes!("packed/dictionary.txt");

impl Packed {
    pub(crate) fn new(text: &[u8]) -> Self {
        let packed = compress_with_dict(text, DICTIONARY);
        let content = if packed.len() < text.len() { packed.into() } else { text.into() };
        Self { content, len: text.len() }
    }

    pub(crate) fn unpack(&self) -> Vec<u8> {
        if self.content.len() == self.len {
            return self.content.to_vec();
        }
        decompress_with_dict(&self.content, self.len, DICTIONARY).expect("`new` packed it")
    }

    /// Returns how many bytes the text has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns how many bytes it is kept in.
    pub(crate) fn bytes(&self) -> usize {
        self.content.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a client wrote it, with what the controller says of it.
    const USER: &str = r#"{"spec":{"groups":["staff","team-7"],"maxDevices":5},"apiVersion":"horizon.dev/v1alpha1","kind":"User","metadata":{"name":"u4711","annotations":{"at":"0"},"namespace":"bench-3","managedFields":[{"manager":"curl","operation":"Update","apiVersion":"horizon.dev/v1alpha1","fieldsType":"FieldsV1","time":"2031-11-29T12:44:34Z","fieldsV1":{"f:metadata":{"f:annotations":{"f:at":{},".":{}}},"f:spec":{"f:groups":{"v:\"staff\"":{},"v:\"team-7\"":{},".":{}},"f:maxDevices":{},".":{}}}}],"creationTimestamp":"2031-11-29T12:44:34Z","uid":"de3a6727-feda-4bc9-8be4-5f31ef10cd21","generation":1,"resourceVersion":"1099511627780"},"status":{"observedGeneration":1,"revision":1,"conditions":[{"type":"Accepted","status":"True","reason":"Accepted","message":"declared in the resource API","observedGeneration":1,"lastTransitionTime":"2031-11-29T12:44:34Z"},{"type":"Ready","status":"True","reason":"Ready","message":"it does what it is for","observedGeneration":1,"lastTransitionTime":"2031-11-29T12:44:34Z"}]}}"#;

    #[test]
    fn an_object_like_any_other_takes_a_third_of_its_length() {
        let packed = Packed::new(USER.as_bytes());

        assert_eq!(packed.unpack(), USER.as_bytes());
        assert!(packed.bytes() < USER.len() / 3, "{} of {}", packed.bytes(), USER.len());
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(text in prop::collection::vec(any::<u8>(), 0..2000), at in 0..2000_usize) {
            let words = &DICTIONARY[at.min(DICTIONARY.len())..];
            for text in [text.clone(), [&text, words, &text, words].concat()] {
                let packed = Packed::new(&text);
                prop_assert_eq!((packed.unpack(), packed.len()), (text.clone(), text.len()));
                prop_assert!(packed.bytes() <= text.len());
            }
        }
    }
}
