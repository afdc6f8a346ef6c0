//! The query of a URL: names and values, decoded.

use std::collections::BTreeMap;

use crate::{gotext::quoted, percent, refusal::Refusal};

/// The names and values behind the `?` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    values: BTreeMap<String, Vec<String>>,
}

impl Query {
    /// Reads a query as it stands in the request line, without the `?`.
    ///
    /// # Errors
    /// 400 for a pair that cannot be decoded. An API server forgets such a pair; then a request to delete by a
    /// selector would delete everything, so this is one of the places where we are stricter.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.entry(decode(name)?).or_default().push(decode(value)?);
        }
        Ok(Self { values })
    }

    /// Returns the first value of a name, if it is given at all.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// Returns the first value of a name, empty if it is not given.
    pub fn text(&self, name: &str) -> &str {
        self.first(name).unwrap_or_default()
    }

    /// Returns every value of a name.
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns a switch: given and neither `0` nor `false`, as an API server reads it.
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.first(name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Returns a whole number.
    ///
    /// # Errors
    /// 400 with the sentence of an API server.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.first(name) else { return Ok(None) };
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        value.parse().map(Some).map_err(|_| {
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            Refusal::bad_request(format!("strconv.ParseInt: parsing {}: {why}", quoted(value)))
        })
    }
}

/// Undoes `%41` and `+`.
fn decode(text: &str) -> Result<String, Refusal> {
    percent::decode(&text.replace('+', " ")).ok_or_else(|| undecodable(text))
}

/// Refuses what cannot be decoded: 400.
pub(crate) fn undecodable(text: &str) -> Refusal {
    let message =
        format!("invalid URL escape in {}: write %XX with two hexadecimal digits, in UTF-8", quoted(text));
    Refusal::bad_request(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let query =
            Query::parse("labelSelector=a%20in+%28b%29&limit=5&dryRun=All&dryRun=x&watch&&e=%C3%A9").unwrap();

        assert_eq!(query.text("labelSelector"), "a in (b)");
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert_eq!(query.all("dryRun"), ["All", "x"]);
        assert_eq!((query.switch("watch"), query.switch("other")), (Some(true), None));
        assert_eq!(query.text("e"), "é");
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "%=1"] {
            assert_eq!(Query::parse(text).unwrap_err().code, 400, "{text}");
        }
    }

    #[test]
    fn switches_and_numbers_are_read_as_an_api_server_reads_them() {
        let query = Query::parse("a=0&b=FALSE&c=&d=no&n=x&m=99999999999999999999&o=").unwrap();

        let switches = ["a", "b", "c", "d"].map(|name| query.switch(name));
        assert_eq!(switches, [Some(false), Some(false), Some(true), Some(true)]);
        let complaint = |name| query.number(name).unwrap_err().message;
        assert_eq!(complaint("n"), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(complaint("m"), "strconv.ParseInt: parsing \"99999999999999999999\": value out of range");
        assert_eq!(complaint("o"), "strconv.ParseInt: parsing \"\": invalid syntax");
    }
}
