//! For those without a session: why, and how to get one.

use leptos::prelude::*;

use crate::{component::Mark, live::CallError};

#[component]
pub(crate) fn SignIn(reason: CallError, retry: impl Fn() + Copy + Send + 'static) -> impl IntoView {
    let (title, refusal) = match reason {
        CallError::SignedOut => ("Sign in to Horizon", None),
        CallError::Unreachable => ("The controller does not answer", None),
        error @ (CallError::Refused(_) | CallError::Status(_)) => {
            ("This link did not work", Some(error.to_string()))
        }
    };
    view! {
        <main class="alone">
            <div class="card sign-in" data-testid="sign-in">
                <Mark/>
                <h1>{title}</h1>
                {refusal.map(|text| view! { <p class="note" role="alert" data-testid="refusal">{text}</p> })}
                <p>"On the controller's host, run"</p>
                <pre tabindex="0"><code>"horizon-controller sign-in"</code></pre>
                <p>
                    "and open the link that it prints. The link works once and for ten minutes; the session
                    lasts up to twelve hours."
                </p>
                <button on:click=move |_| retry()>"Try again"</button>
            </div>
        </main>
    }
}
