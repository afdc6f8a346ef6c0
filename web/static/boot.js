import init from "{{js}}";
init({ module_or_path: "{{wasm}}" }).catch((error) => {
  const text = document.querySelector("#boot p");
  if (text) text.textContent = "Horizon could not start: " + error;
  throw error;
});
