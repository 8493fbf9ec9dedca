// OHIF's settings: our DICOMweb, pixels in Explicit VR Little Endian, segmentations saved as others can read them.
window.PUBLIC_URL = "/ohif/";
window.browserImportFunction = (name) => import(name);

const root = `${location.origin}/dicom-web`;
const plain = "1.2.840.10008.1.2.1";

window.config = {
  routerBasename: "/ohif/",
  extensions: [],
  modes: [],
  customizationService: [{ "ohif.tours": { $set: [] } }],
  showStudyList: false,
  maxNumberOfWebWorkers: 3,
  showCPUFallbackMessage: false,
  showLoadingIndicator: true,
  investigationalUseDialog: { option: "never" }, // the line in the header says it all the time
  whiteLabeling: {
    createLogoComponentFn: (react) =>
      react.createElement(
        "a",
        { href: "/", className: "text-primary-foreground px-2 text-sm" },
        "Prioritisation only. Not for diagnosis.",
      ),
  },
  defaultDataSourceName: "nightjar",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "nightjar",
      configuration: {
        friendlyName: "Nightjar",
        name: "nightjar",
        wadoUriRoot: root,
        qidoRoot: root,
        wadoRoot: root,
        qidoSupportsIncludeField: true,
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        omitQuotationForMultipartRequest: true,
        acceptHeader: [`multipart/related; type=application/octet-stream; transfer-syntax=${plain}`],
        requestTransferSyntaxUID: plain,
        bulkDataURI: { enabled: true },
        segmentation: { store: { defaultMode: "bitmap", transferSyntaxUID: plain } },
      },
    },
  ],
};
