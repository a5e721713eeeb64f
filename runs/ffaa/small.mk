# Everything of FFAA at small size, by one command that goes on where it was:
#   make -f runs/ffaa/small.mk PACK=pack UNSEEN=tables OUT=out          Table 3 and Figure 3; `table3`, `figure3` or `cases` alone
# A killed target is begun again; trainings and questions go on from what they had kept.
PYTHON ?= python
FACEWITNESS ?= $(PYTHON) -m facewitness
HERE := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
FDM := $(HERE)/../mare/model/fdm.safetensors
INIT := $(HERE)/../compact/last.safetensors
SFT := $(FACEWITNESS) train sft $(HERE)/sft-small.toml --detector $(FDM) --model $(OUT)/small --save-every 20
MINE := $(PYTHON) $(HERE)/mine.py $(OUT)/hyp/model
TUNED := $(OUT)/analyses/ffa_vqa.parquet
STEPS ?= 100
MODEL := model/prompted.json
PARTS := R DR FR all
FIGURE3 := $(foreach P,$(PARTS),$(OUT)/sft-$(P)/$(MODEL))

.DELETE_ON_ERROR:
.PHONY: all table3 figure3 cases table2
all: table3 figure3
table3: $(OUT)/mids/mids.onnx
figure3: $(FIGURE3) $(OUT)/val.parquet $(OUT)/unseen.parquet
	$(PYTHON) $(HERE)/figure3.py $(foreach P,$(PARTS),$P=$(OUT)/sft-$P/model) \
	  --seen $(OUT)/val.parquet --unseen $(OUT)/unseen.parquet --out $(OUT)/figure3
# the judge of cases that ships, for the default witness's weights at hand, and the open-world table (six minutes of a core)
cases:
	$(PYTHON) $(HERE)/cases.py $(PACK) --unseen $(UNSEEN) --out $(OUT)/cases --ship
	$(PYTHON) $(HERE)/open_world.py $(PACK) --unseen $(UNSEEN) --cache $(OUT)/cases
# Table 2's shape, with Xception and a network of self-blended images; IMAGENET is MobileNetV2's weights
table2: $(OUT)/xception/xception.safetensors $(OUT)/sbi/sbi.safetensors
	$(PYTHON) $(HERE)/rivals.py scores $(PACK) --unseen $(UNSEEN) --cache $(OUT)/cases --size 64 --network xception=$(word 1,$^)
	$(PYTHON) $(HERE)/rivals.py scores $(PACK) --unseen $(UNSEEN) --cache $(OUT)/cases --network sbi=$(word 2,$^)
	$(PYTHON) $(HERE)/open_world.py $(PACK) --unseen $(UNSEEN) --cache $(OUT)/cases
$(OUT)/xception/xception.safetensors:
	$(PYTHON) $(HERE)/rivals.py xception $(PACK) --size 64 --steps 20 --out $(OUT)/xception
$(OUT)/sbi/sbi.safetensors:
	$(FACEWITNESS) train kfd $(HERE)/sbi-small.toml --pack $(PACK) --init-from $(IMAGENET) --save-every 40 --out $(OUT)/sbi

$(TUNED):
	$(FACEWITNESS) build ffa_vqa pack $(PACK) --split train --count 1600 --misleading 0.3 --out $(OUT)/analyses
$(OUT)/small/config.json: $(TUNED)
	$(FACEWITNESS) build small_vlm $< --width 128 --layers 4 --rows 1024 --out $(OUT)/small
$(OUT)/hypotheses/ffa_vqa.parquet: $(TUNED)
	$(PYTHON) $(HERE)/tables.py $< --out $(OUT)
$(OUT)/sft/$(MODEL): $(OUT)/small/config.json
	$(SFT) --forensic $(TUNED) --out $(OUT)/sft
$(OUT)/sft-%/$(MODEL): $(OUT)/hypotheses/ffa_vqa.parquet $(OUT)/small/config.json
	$(SFT) --set stop_at_step=$(STEPS) --forensic $(OUT)/$*/ffa_vqa.parquet --out $(OUT)/sft-$*
$(OUT)/sft-all/$(MODEL): $(OUT)/small/config.json
	$(SFT) --set stop_at_step=$(STEPS) --forensic $(TUNED) --out $(OUT)/sft-all
$(OUT)/hyp/$(MODEL): $(OUT)/sft/$(MODEL) $(OUT)/hypotheses/ffa_vqa.parquet
	$(FACEWITNESS) train sft $(HERE)/sft-hypothesis.toml --forensic $(OUT)/hypotheses/ffa_vqa.parquet \
	  --model $(OUT)/sft/model --save-every 20 --out $(OUT)/hyp
$(OUT)/calibrate.parquet: $(OUT)/hyp/$(MODEL)
	$(MINE) $(PACK) --split calibrate --count 400 --tuned $(TUNED) --out $@
$(OUT)/val.parquet: $(OUT)/hyp/$(MODEL)
	$(MINE) $(PACK) --split val --count 500 --tuned $(TUNED) --out $@
$(OUT)/unseen.parquet: $(OUT)/hyp/$(MODEL)
	$(MINE) --unseen $(UNSEEN) --count 120 --tuned $(TUNED) --out $@
$(OUT)/mids/mids.onnx: $(OUT)/calibrate.parquet $(OUT)/val.parquet $(OUT)/unseen.parquet
	$(PYTHON) $(HERE)/table3.py $(OUT)/calibrate.parquet $(OUT)/val.parquet --unseen $(OUT)/unseen.parquet \
	  --init-from $(INIT) --out $(OUT)/mids
