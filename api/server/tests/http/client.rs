//! HTTP/1.1 in a few lines: one call a connection, so that a test sees exactly what was sent.

use horizon_api::http::LiveEvent;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, Lines};

pub(crate) struct Call {
    method: &'static str,
    path: String,
    headers: String,
    body: String,
}

impl Call {
    pub(crate) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.into(), headers: String::new(), body: String::new() }
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self { method: "DELETE", ..Self::get(path) }
    }

    pub(crate) fn post(path: &str, body: &str) -> Self {
        let call = Self { method: "POST", body: body.into(), ..Self::get(path) };
        call.header("content-type", "application/json")
    }

    /// A call with a method and a media type of its own.
    pub(crate) fn send_text(method: &'static str, path: &str, media: &str, body: &str) -> Self {
        let call = Self { method, body: body.into(), ..Self::get(path) };
        call.header("content-type", media)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn cookie(self, secret: String) -> Self {
        self.header("cookie", &format!("other=1; __Host-horizon={secret}"))
    }

    pub(crate) async fn send(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Answer {
        stream.write_all(self.text("close").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A server may close a TLS connection without saying goodbye.
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) async fn open(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Stream {
        stream.write_all(self.text("keep-alive").as_bytes()).await.unwrap();
        Stream((BufReader::new(Box::new(stream) as Box<dyn AsyncRead + Unpin + Send>)).lines())
    }

    fn text(&self, connection: &str) -> String {
        let Self { method, path, headers, body } = self;
        format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| *found == name).map(|(_, value)| value).next()
    }

    /// The secret of the cookie that the answer sets.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").unwrap();
        cookie.split(['=', ';']).nth(1).unwrap().to_owned()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(crate) struct Stream(Lines<BufReader<Box<dyn AsyncRead + Unpin + Send>>>);

impl Stream {
    /// The next line as it came; `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.0.next_line().await.unwrap()
    }

    /// The next event; what is between two events is passed over.
    pub(crate) async fn event(&mut self) -> LiveEvent {
        loop {
            let line = self.0.next_line().await.unwrap().unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}
