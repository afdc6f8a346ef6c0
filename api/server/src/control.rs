//! The face towards the host: the verbs of `horizon-controller`, through a socket that only root and the
//! daemon's own user can open. Whoever can open it already owns the store, so it asks for no session.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use horizon_api::http::{
    ApproveDeviceRequest, ApproveRequest, ArmRequest, BackupRequest, Done, EndTokensRequest, HoldRequest,
    InviteAnswer, InviteRequest, KeysAnswer, KeysRequest, ObjectReport, ObjectRequest, OwnKeys, PlanAnswer,
    PlanRequest, PolicyAnswer, PolicyQuestion, ReleaseRequest, SignInLink, SignInRequest, StatusReport,
    TokenAnswer, TokenList, TokenRequest,
};

use crate::{
    AppState, Command, Shared, admission,
    command::{Wish, ask},
    console::finish,
    failure::Failure,
    health,
    input::Input,
    secret::{Secret, Token},
};

/// Returns the router for the control socket.
pub fn control_router(state: AppState) -> Router {
    let calls = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/invite", post(invite))
        .route("/v1/policy", post(policy))
        .route("/v1/sign-in-link", post(sign_in_link))
        .route("/v1/token", post(token))
        .route("/v1/tokens", get(tokens))
        .route("/v1/keys", get(own_keys).post(keys))
        .route("/v1/end-tokens", post(end_tokens))
        .route("/v1/plan", post(plan))
        .route("/v1/approve", post(approve))
        .route("/v1/approve-device", post(approve_device))
        .route("/v1/hold", post(hold))
        .route("/v1/release", post(release))
        .route("/v1/arm", post(arm))
        .route("/v1/confirm", post(confirm))
        .route("/v1/object", post(object))
        .route("/v1/backup", post(backup))
        .merge(health::routes());
    finish(calls).fallback(async || Failure::NoSuchCall).with_state(Shared::new(state))
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<StatusReport> {
    let settled = ask(&shared.state.commands, Wish::Store, |reply| Command::Settle { reply }).await;
    let mut readiness = health::readiness(&shared).await;
    if settled.is_err() {
        readiness.ready = false;
        readiness.reasons.push("The reconciler is busy: what is shown may be older than a change.".into());
    }
    let view = Arc::clone(&shared.state.view.borrow());
    Json(StatusReport { readiness, view: (*view).clone() })
}

async fn invite(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<InviteRequest>,
) -> Result<(StatusCode, Json<InviteAnswer>), Failure> {
    let answer =
        ask(&shared.state.commands, Wish::Answer, |reply| Command::Invite { request, reply }).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn policy(
    State(shared): State<Arc<Shared>>,
    Input(question): Input<PolicyQuestion>,
) -> Result<Json<PolicyAnswer>, Failure> {
    Ok(Json(ask(&shared.state.commands, Wish::Answer, |reply| Command::Policy { question, reply }).await?))
}

async fn sign_in_link(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<SignInRequest>,
) -> Result<(StatusCode, Json<SignInLink>), Failure> {
    let holder = request.admin.map(|admin| admission::holder(&shared.state, &admin)).transpose()?;
    let secret = Secret::generate().map_err(|_| Failure::NoAnswer)?;
    let code = secret.hash();
    let expires_at =
        ask(&shared.state.commands, Wish::Store, |reply| Command::MintSignIn { code, holder, reply }).await?;
    let url = format!("{}/sign-in#code={}", shared.state.console_url, secret.reveal());
    Ok((StatusCode::CREATED, Json(SignInLink { url, expires_at })))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<TokenRequest>,
) -> Result<(StatusCode, Json<TokenAnswer>), Failure> {
    let token = Token::generate().map_err(|_| Failure::NoAnswer)?;
    let (hash, id) = (token.hash(), token.id().to_owned());
    let minted = id.clone();
    let command = |reply| Command::MintToken { token: hash, id: minted, request, reply };
    let expires_at = ask(&shared.state.commands, Wish::Store, command).await?;
    let url = shared.state.console_url.to_string();
    let answer = TokenAnswer { token: token.reveal(), id, expires_at, url };
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn tokens(State(shared): State<Arc<Shared>>) -> Result<Json<TokenList>, Failure> {
    ask(&shared.state.commands, Wish::Store, |reply| Command::ListTokens { reply }).await.map(Json)
}

async fn end_tokens(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<EndTokensRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Store, |reply| Command::EndTokens { request, reply }).await.map(Json)
}

async fn own_keys(State(shared): State<Arc<Shared>>) -> Result<Json<OwnKeys>, Failure> {
    ask(&shared.state.commands, Wish::Answer, |reply| Command::OwnKeys { reply }).await.map(Json)
}

async fn keys(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<KeysRequest>,
) -> Result<Json<KeysAnswer>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::Keys { request, reply }).await.map(Json)
}

async fn plan(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<PlanRequest>,
) -> Result<Json<PlanAnswer>, Failure> {
    ask(&shared.state.commands, Wish::Plan, |reply| Command::Plan { request, reply }).await.map(Json)
}

async fn approve(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<ApproveRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::Approve { request, reply }).await.map(Json)
}

async fn approve_device(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<ApproveDeviceRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::ApproveDevice { request, reply }).await.map(Json)
}

async fn hold(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<HoldRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::Hold { request, reply }).await.map(Json)
}

async fn release(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<ReleaseRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::Release { request, reply }).await.map(Json)
}

async fn arm(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<ArmRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::Arm { request, reply }).await.map(Json)
}

async fn confirm(State(shared): State<Arc<Shared>>) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Deed, |reply| Command::Confirm { reply }).await.map(Json)
}

async fn object(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<ObjectRequest>,
) -> Result<Json<ObjectReport>, Failure> {
    ask(&shared.state.commands, Wish::Answer, |reply| Command::Object { request, reply }).await.map(Json)
}

async fn backup(
    State(shared): State<Arc<Shared>>,
    Input(request): Input<BackupRequest>,
) -> Result<Json<Done>, Failure> {
    ask(&shared.state.commands, Wish::Copy, |reply| Command::Backup { request, reply }).await.map(Json)
}
