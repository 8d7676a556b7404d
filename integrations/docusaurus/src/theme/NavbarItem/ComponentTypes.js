import ComponentTypes from '@theme-init/NavbarItem/ComponentTypes';
import PreceptorNavbarItem from '@theme/NavbarItem/PreceptorNavbarItem';

export default { ...ComponentTypes, 'custom-preceptor': PreceptorNavbarItem };
