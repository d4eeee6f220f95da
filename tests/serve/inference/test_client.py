"""Triton's own client against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling as sd
from tests.serve.inference.serving import Server, row

triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")


@pytest.fixture
def client(server: Server) -> Any:
    with triton.InferenceServerClient(server.address, concurrency=8) as made:
        yield made


@pytest.fixture(scope="module")
def session(dense: Path) -> Any:
    with sd.Session(dense, "litert") as made:
        yield made


def tensor(values: np.ndarray, *, binary: bool = True) -> Any:
    return triton.InferInput("x", list(values.shape), "FP32").set_data_from_numpy(values, binary_data=binary)


def test_it_tells_what_it_is(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("m")
    assert client.is_model_ready("m", "1")
    assert not client.is_model_ready("m", "2")
    about = client.get_server_metadata()
    assert about["name"] == "sanderling"
    assert "binary_tensor_data" in about["extensions"]
    told = client.get_model_metadata("m")
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}]
    assert told["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 10]}]
    assert client.get_model_metadata("m", "1") == told
    config = client.get_model_config("m")
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [16]}]
    assert config["dynamic_batching"]["preferred_batch_size"] == [8]
    assert client.get_model_repository_index()[0]["state"] == "READY"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("taken", [None, "gzip", "deflate"])
def test_answers_are_the_sessions(
    client: Any, session: sd.Session, binary: bool, sent: str | None, taken: str | None
) -> None:
    x = row(3)
    answer = client.infer(
        "m", [tensor(x, binary=binary)], request_compression_algorithm=sent,
        response_compression_algorithm=taken, request_id="seven",
    )  # fmt: skip
    np.testing.assert_allclose(answer.as_numpy("y"), session(x), rtol=0, atol=1e-6)
    told = answer.get_response()
    assert (told["id"], told["model_name"], told["model_version"]) == ("seven", "m", "1")


def test_outputs_are_written_as_asked(client: Any, session: sd.Session) -> None:
    x = row(4)
    as_json = client.infer("m", [tensor(x)], outputs=[triton.InferRequestedOutput("y", binary_data=False)])
    assert "data" in as_json.get_output("y")
    np.testing.assert_allclose(as_json.as_numpy("y"), session(x), rtol=0, atol=1e-6)
    best = client.infer("m", [tensor(x)], outputs=[triton.InferRequestedOutput("y", class_count=3)])
    scores = session(x)[0]
    found = [entry.decode().split(":") for entry in best.as_numpy("y")[0]]
    assert [int(number) for _, number in found] == np.argsort(-scores)[:3].tolist()
    assert [float(score) for score, _ in found] == pytest.approx(sorted(scores)[:-4:-1], abs=1e-5)


def test_rows_of_a_request_are_answered_each(client: Any, session: sd.Session) -> None:
    x = np.concatenate([row(seed) for seed in range(21)])  # more than go together
    answer = client.infer("m", [tensor(x)]).as_numpy("y")
    assert answer.shape == (21, 10)
    for number in range(21):
        np.testing.assert_allclose(answer[number : number + 1], session(x[number : number + 1]), atol=1e-6)


def test_many_at_once_get_their_own_answers(client: Any, session: sd.Session) -> None:
    asked = [row(seed) for seed in range(60)]
    waiting = [client.async_infer("m", [tensor(x)]) for x in asked]
    for x, each in zip(asked, waiting, strict=True):
        np.testing.assert_allclose(each.get_result().as_numpy("y"), session(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "model, version, status, sentence",
    [
        ("other", "", 404, "there is no model 'other'"),
        ("m", "9", 404, "there is no model 'm' of version '9'"),
    ],
)
def test_unknown_models(client: Any, model: str, version: str, status: int, sentence: str) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer(model, [tensor(row())], model_version=version)
    assert (caught.value.status(), caught.value.message()) == (str(status), sentence)


def test_a_request_whose_time_is_over_is_told(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer("m", [tensor(row())], timeout=1)
    assert caught.value.status() == "504"


def test_sequences_are_refused(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match="keep a state"):
        client.infer("m", [tensor(row())], sequence_id=3, sequence_start=True)
