//! A text of several YAML documents, cut into them: each is applied by itself.

use horizon_api::{http::CheckedObject, resource::ObjectKey};

/// A document of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub object: ObjectKey,
    pub text: String,
}

/// Cuts a text into the documents that declare the objects which the controller found in it.
///
/// # Errors
/// When one document declares several: the resource API takes one at a time.
pub fn documents(text: &str, objects: &[CheckedObject]) -> Result<Vec<Document>, String> {
    let parts = parts(text);
    let mut documents: Vec<(usize, Document)> = Vec::new();
    for CheckedObject { object, line } in objects {
        let line = *line as usize;
        let Some(place) = parts.iter().rposition(|part| part.first_line <= line) else { continue };
        if documents.last().is_some_and(|(last, _)| *last == place) {
            let line = parts[place].first_line;
            return Err(format!("Line {line}: write the items of a List as documents of their own."));
        }
        documents.push((place, Document { object: object.clone(), text: parts[place].text.clone() }));
    }
    Ok(documents.into_iter().map(|(_, document)| document).collect())
}

struct Part {
    first_line: usize,
    text: String,
}

/// A line that begins with `---` begins a document wherever it stands (YAML 1.2 §9.1.2).
fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![Part { first_line: 1, text: String::new() }];
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let is_marker =
            line.strip_prefix("---").is_some_and(|rest| rest.trim_start() != rest || rest.is_empty());
        if is_marker && index > 0 {
            parts.push(Part { first_line: index + 1, text: String::new() });
        }
        if let Some(part) = parts.last_mut() {
            part.text.push_str(line);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(line: u32) -> CheckedObject {
        CheckedObject { object: format!("User/u{line}").parse().unwrap(), line }
    }

    #[test]
    fn each_object_has_the_text_of_its_document() {
        let text = "# first\na: 1\n---\n# nothing\n--- # second\nb: |\n  ---x\nc: 2\n---";

        let found = documents(text, &[declared(2), declared(6)]).unwrap();

        let texts: Vec<_> = found.iter().map(|document| document.text.as_str()).collect();
        assert_eq!(texts, ["# first\na: 1\n", "--- # second\nb: |\n  ---x\nc: 2\n"]);
        assert_eq!(found[1].object, declared(6).object);
    }

    #[test]
    fn a_first_marker_begins_nothing_new() {
        let found = documents("---\na: 1\n", &[declared(2)]).unwrap();

        assert_eq!(found[0].text, "---\na: 1\n");
    }

    #[test]
    fn several_objects_in_one_document_are_told() {
        let error =
            documents("x: 1\n---\nkind: List\nitems: [a,\nb]\n", &[declared(4), declared(5)]).unwrap_err();

        assert!(error.starts_with("Line 2: "), "{error}");
    }
}
